"""Settings: frozen values, read once at the edge from `HOME/segue.toml` and the environment, then passed along.

A home is the folder that holds one installation's state; nothing is read or written outside it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from features.errors import InvalidInput
from features.setting_values import fault, from_text, from_toml, nearest
from features.toml_text import read_toml

#: The files Segue ships: the default catalogue, mappings, samples.
SHIPPED = Path(__file__).resolve().parent.parent / "data"
DEFAULT_HOME = SHIPPED / "local"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything one can set. In `segue.toml` the same names; in the environment `SEGUE_` and the name in capitals."""

    home: Path = DEFAULT_HOME
    #: The ledger's database: SQLite in the home by default, `postgresql://...` in production.
    ledger_url: str = ""
    #: Whether a SQLite ledger waits for the disk at every commit: then even a power failure loses nothing answered.
    power_safe: bool = False
    #: Online features: SQLite in the home by default, or a Redis address `host:port` (`,key=value` options follow).
    online_store: str = ""
    host: str = "127.0.0.1"
    port: int = 3000
    workers: int = 1
    #: Time budget of one decision.
    deadline_seconds: float = 0.05
    #: Features older than this count as missing.
    feature_max_age_days: float = 7.0
    #: How often everybody's features are refreshed; a customer something happens to is refreshed at once.
    refresh_hours: float = 24.0
    #: One JSON line on standard output for each decision, with ids of ours and nothing of the customer.
    decision_log: bool = True
    max_body_bytes: int = 262_144
    #: Share of customers kept from all actions, to measure the programme as a whole.
    holdout_share: float = 0.05
    #: Salt of every assignment: changing it reshuffles all groups.
    assignment_salt: str = "segue"
    #: How the arm is drawn: uniform, epsilon-greedy, softmax, squarecb or thompson; see `training.policies`.
    policy: str = "thompson"
    #: epsilon-greedy: share of draws spread over all allowed arms.
    epsilon: float = 0.1
    #: softmax: the gap, as a share of the largest value, at which an arm is drawn 2.7 times less often than the best.
    temperature: float = 0.1
    #: squarecb: how strongly the gap to the best, as a share of the largest value, tells against an arm.
    gamma: float = 3_000.0
    #: Least probability of every allowed arm; 1 / n where that is less. It bounds how much one recorded decision can
    #: weigh when another policy is judged by it: 1 / floor.
    probability_floor: float = 0.0005
    #: Share of decisions that may explore; the rest take the best arm.
    exploration_share: float = 1.0
    #: An arm learned from fewer times than this holds at most a share that grows with them; 0 for no such ramp.
    new_arm_ramp: int = 0
    #: The share at which a new arm starts.
    new_arm_share: float = 0.05
    #: After so many days a decision weighs half in what the policy has learned; 0 forgets never.
    forgetting_days: float = 0.0
    #: So long after its window a decision without an answer stays provisional: reports may come late.
    late_days: float = 30.0
    #: `segue promote`: money a decision by which a candidate must earn more, at the lower end of the interval.
    gate_margin: float = 0.0
    #: Most that the share of decisions answered with an opt-out, or a complaint, may rise.
    gate_harm_margin: float = 0.002
    #: Most that any segment may lose, as a share of what the champion earns over all.
    gate_segment_margin: float = 0.2
    #: What makes segments: channels, placement, consent, intent, or names of features, with commas between.
    gate_segments: str = "channels,placement,consent,tenure_days,purchases_90d"
    #: Most that predicted and seen response may be apart, as a share of the response rate.
    gate_calibration_error: float = 0.25
    #: Most that a decision may take, in times of the champion's.
    gate_latency_ratio: float = 1.5
    #: Whether a request's `incumbent` is the answer, and Segue's own choice only written down beside it.
    apprentice: bool = False
    #: From this share of agreement with the incumbent on, the switch is offered.
    apprentice_threshold: float = 0.8
    #: Share of decisions a challenger decides too, beside the answers, while it is tried.
    shadow_share: float = 0.1
    #: How long each step of a ramp lasts at least.
    ramp_step_hours: float = 24.0
    #: Most that the next step of a ramp may cost all customers together, as a share of what is earned.
    ramp_risk: float = 0.05
    #: How far ahead churn and conversion look; 0 chooses from the history at hand.
    horizon_days: int = 0
    #: How long the learner and the refresher sleep between rounds.
    poll_seconds: float = 1.0
    #: How often at most the policy is learned anew: every snapshot is kept for replay, some 35 kB for 80 arms.
    learn_seconds: float = 10.0
    seed: int = 20_260_101

    @property
    def ledger(self) -> str:
        return self.ledger_url or f"sqlite:///{self.home / 'ledger.db'}"

    @property
    def catalogue_folder(self) -> Path:
        return self.home / "catalogue"

    @property
    def feature_folder(self) -> Path:
        return self.home / "features"

    @property
    def bundle_folder(self) -> Path:
        return self.home / "bundles"

    @property
    def report_folder(self) -> Path:
        return self.home / "reports"

    @property
    def tracking_url(self) -> str:
        return f"sqlite:///{self.home / 'mlflow.db'}"


def load_settings(home: Path | str | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of a home: defaults, then `HOME/segue.toml`, then `SEGUE_*` variables, later ones win.

    A `SEGUE_*` variable that resembles no setting is another program's (Kubernetes sets some for a service of that
    name) and left alone. Raises InvalidInput that names the key for an unknown name, a value of another type, or one
    out of range.
    """
    folder = Path(home or environment.get("SEGUE_HOME") or DEFAULT_HOME).resolve()
    settings = Settings(home=folder)
    file = folder / "segue.toml"
    if file.exists():
        settings = _with(settings, read_toml(file), from_toml, lambda key: f"{file}: {key}")
    given = {
        key.removeprefix(_PREFIX).lower(): value
        for key, value in environment.items()
        if key.startswith(_PREFIX) and nearest(key.removeprefix(_PREFIX), _KINDS) is not None and key != "SEGUE_HOME"
    }
    return _with(settings, given, from_text, lambda key: f"environment: {_PREFIX}{key.upper()}")


_PREFIX = "SEGUE_"
#: Name of each setting -> its type; the home is where the others are read.
_KINDS = {f.name: type(f.default) for f in fields(Settings) if f.name != "home"}


def _with(
    settings: Settings,
    given: Mapping[str, Any],
    read: Callable[[type, Any], object],
    named: Callable[[str], str],
) -> Settings:
    """With the values given, each `read` as its type; `named` says where a key stands."""
    for key, value in given.items():
        if key not in _KINDS:
            meant = nearest(key, _KINDS)
            advice = f"did you mean {meant}?" if meant else f"one of {', '.join(sorted(_KINDS))}"
            raise InvalidInput(f"{named(key)} is no setting; {advice}", field=key)
        if wrong := fault(key, _KINDS[key], value, read):
            raise InvalidInput(f"{named(key)} {wrong}", field=key)
    return replace(settings, **{key: read(_KINDS[key], value) for key, value in given.items()})  # type: ignore[arg-type]
