"""Settings: frozen values, read once at the edge from `HOME/segue.toml` and the environment, then passed along.

A home is the folder that holds one installation's state; nothing is read or written outside it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from features.errors import InvalidInput

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

    Raises InvalidInput that names the key for an unknown name or a value of the wrong type.
    """
    folder = Path(home or environment.get("SEGUE_HOME") or DEFAULT_HOME).resolve()
    settings = Settings(home=folder)
    file = folder / "segue.toml"
    if file.exists():
        try:
            settings = _with(settings, tomllib.loads(file.read_text()), str(file))
        except tomllib.TOMLDecodeError as error:
            raise InvalidInput(f"{file}: not TOML: {error}") from error
    names = {f"SEGUE_{f.name.upper()}": f.name for f in fields(Settings) if f.name != "home"}
    given = {names[key]: value for key, value in environment.items() if key in names}
    return _with(settings, given, "environment")


def _with(settings: Settings, given: Mapping[str, object], source: str) -> Settings:
    known = {f.name: type(getattr(settings, f.name)) for f in fields(Settings) if f.name != "home"}
    values: dict[str, object] = {}
    for key, value in given.items():
        if key not in known:
            raise InvalidInput(f"{source}: unknown setting {key!r}; one of {', '.join(sorted(known))}", field=key)
        try:
            values[key] = _truth(value) if known[key] is bool else known[key](value)
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"{source}: {key} must be a {known[key].__name__}, not {value!r}", field=key) from error
    for key, (low, high) in _RANGES.items():
        if key in values and not low <= values[key] <= high:  # type: ignore[operator]
            raise InvalidInput(f"{source}: {key} must lie between {low:g} and {high:g}, not {values[key]}", field=key)
    return replace(settings, **values)  # type: ignore[arg-type]


#: What a setting may be; shares are shares, not percents.
_RANGES = {
    "port": (1, 65_535),
    "workers": (1, 256),
    "deadline_seconds": (0.001, 60.0),
    "feature_max_age_days": (0.0, 36_500.0),
    "refresh_hours": (0.01, 8_760.0),
    "max_body_bytes": (1_024, 1 << 30),
    "holdout_share": (0.0, 1.0),
    "horizon_days": (0, 3_650),
    "forgetting_days": (0.0, 36_500.0),
    "late_days": (0.0, 36_500.0),
    "poll_seconds": (0.01, 3_600.0),
    "learn_seconds": (0.0, 86_400.0),
    "apprentice_threshold": (0.0, 1.0),
    "shadow_share": (0.0, 1.0),
    "ramp_step_hours": (0.0, 8_760.0),
    "ramp_risk": (0.0001, 1.0),
    "gate_margin": (0.0, 1e9),
    "gate_harm_margin": (0.0, 1.0),
    "gate_segment_margin": (0.0, 1.0),
    "gate_calibration_error": (0.0, 10.0),
    "gate_latency_ratio": (0.1, 100.0),
}


def _truth(value: object) -> bool:
    """A yes or no as TOML or the environment writes it. Raises ValueError for anything else."""
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if str(value).lower() not in words:
        raise ValueError(value)
    return words[str(value).lower()]
