"""Promotion: the candidate is judged, the finding is kept, and only a pass moves the pointer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from experiments.gate.comparison import Comparison
from experiments.gate.gates import judge
from experiments.gate.redecide import Question, compare
from experiments.gate.result import GateResult, Limits, overall
from experiments.gate.unflattered import Unflattered
from experiments.ope.log_ledger import MOST_DECISIONS
from experiments.ope.reward_model import cross_fitted
from features.errors import NoData
from features.ledger import Ledger
from features.settings import Settings
from serving.contender import Contender, crown, reigning
from training.against_champion import learned_until
from training.bundle import Bundle, champion, load_bundle
from training.evaluate import Verdict
from training.release import objection
from training.report import Tracker

Progress = Callable[[str], Callable[[float], None]]


@dataclass(frozen=True, slots=True)
class Finding:
    """A candidate judged. `champion` is None where there is none yet. `first`: nothing was decided yet that could be
    compared, so the models' verdicts stand alone."""

    candidate: Contender
    champion: Contender | None
    gates: tuple[GateResult, ...]
    judged_at: int
    decisions: int = 0
    first: bool = False

    @property
    def verdict(self) -> Verdict:
        return overall(self.gates)


def silent(_name: str) -> Callable[[float], None]:
    """Progress nobody watches."""
    return lambda _share: None


def find(
    settings: Settings,
    ledger: Ledger,
    candidate: Contender,
    now: int,
    step: Progress = silent,
    limit: int = MOST_DECISIONS,
) -> Finding:
    """Judges a candidate on everything the ledger can tell of it.

    Raises NotFound or UntrustedArtefact for a bundle that is not whole.
    """
    folder = settings.bundle_folder
    bundle = load_bundle(folder / str(candidate.bundle))
    current = champion(folder)
    models = _models(bundle, () if current is None else load_bundle(current).models)
    if current is None:
        return Finding(candidate, None, (models,), now, first=True)
    rival = reigning(settings, ledger)
    if not ledger.count_live():
        gates = (models, *_unseen(candidate, rival, settings.gate_margin))
        return Finding(candidate, rival, gates, now, first=len(gates) == 1)
    segments = tuple(filter(None, (name.strip() for name in settings.gate_segments.split(","))))
    # The champion's own bundle, with another policy or catalogue, learned from nothing since it was made.
    since = bundle.created_at if candidate.bundle == rival.bundle else learned_until(bundle, "propensity")
    question = Question(rival, candidate, since, now, segments, limit)
    try:
        compared = compare(ledger, Unflattered(ledger, folder, question.since), question, step("deciding again"))
    except NoData as error:
        untold = GateResult("value", Verdict.INSUFFICIENT, None, settings.gate_margin, error.message)
        return Finding(candidate, rival, (models, untold), now)
    gates = (models, *_judged(compared, settings, step))
    return Finding(candidate, rival, gates, now, len(compared.log))


def _unseen(candidate: Contender, rival: Contender, margin: float) -> tuple[GateResult, ...]:
    """What nobody can judge before a decision was made: another policy or catalogue."""
    changed = [what for what in candidate.differences(rival) if what != "bundle"]
    if not changed:
        return ()
    told = (
        f"no decision was made here yet on which another {' and '.join(changed)} could be compared: let the champion "
        "decide for a while, or write into segue.toml and catalogue/ what is to decide from the start"
    )
    return (GateResult("value", Verdict.INSUFFICIENT, None, margin, told),)


def _judged(compared: Comparison, settings: Settings, step: Progress) -> tuple[GateResult, ...]:
    log = compared.log
    # A log with one reward teaches nothing, and the gate of value says so.
    q_hat = cross_fitted(log, seed=settings.seed, progress=step("reward models")) if log.reward.std() > 0.0 else None
    return judge(compared, Limits.of(settings), q_hat)


def _models(bundle: Bundle, held: tuple[str, ...]) -> GateResult:
    """Every model was found better than a constant when it was trained, and none of the champion's is lost."""
    refusal = objection(bundle.models, held)
    told = ", ".join(f"{name}: {_reason(bundle, name)}" for name in bundle.models)
    if not bundle.models and bundle.start.decisions:
        told = f"none, as the champion; its policy starts from {bundle.start.decisions:,} decisions drawn at random"
    if refusal is not None or not (bundle.models or bundle.start.decisions):
        return GateResult("models", Verdict.FAIL, float(len(bundle.models)), float(len(held)), refusal or "no models")
    return GateResult("models", Verdict.PASS, float(len(bundle.models)), float(len(held)), told)


def _reason(bundle: Bundle, name: str) -> str:
    return str(bundle.manifest.get("trials", {}).get(name, {}).get("reason", "released"))


def install(settings: Settings, ledger: Ledger, finding: Finding, tracker: Tracker) -> None:
    """Makes the candidate what decides. Only what passed is installed."""
    assert finding.verdict is Verdict.PASS
    crown(settings, ledger, finding.candidate, tracker)
