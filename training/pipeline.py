"""Training from end to end: labels, features as of their moments, fit, judge, bundle, record, promote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from features.aggregates import History, open_history
from features.catalogue import Catalogue, load_catalogue
from features.clock import DAY
from features.contract import FeatureContract, build_contract, read_contract
from features.encode import Encoder
from features.errors import NoData
from features.ledger import existing_ledger
from features.settings import Settings
from training.against_champion import against_champion, standing
from training.bundle import Bundle
from training.covariates import Covariates, choose_covariates, varied_covariates
from training.dataset import Dataset, Source, customer_datasets, propensity_dataset
from training.evaluate import Verdict
from training.labels import history_span
from training.models import Trial, fit
from training.plots import pictures
from training.provenance import commit_of
from training.release import promote_if_fit, release
from training.report import ModelReport, Tracker, TrainingReport
from training.scorer import Scorer
from training.split import Slice, choose_horizon
from training.start import Start, make_start, start_without_model

#: Called with what is being done, and the share of all that is done, 0 to 1.
Progress = Callable[[str, float], None]


def silent(_step: str, _share: float) -> None:
    """Progress nobody watches."""


def train(
    settings: Settings,
    now: int,
    progress: Progress = silent,
    *,
    promote: bool = True,
    tracker: Tracker | None = None,
) -> TrainingReport:
    """Trains the three models on the home's ledger, releases the good ones as a bundle, and makes it the champion.

    A model that is no better than the constant, or has too little data, is left out with its reason; the others go
    on. Without a `tracker` the home's MLflow store is used. Raises NoData for a home without history.
    """
    progress("reading the history", 0.0)
    catalogue = load_catalogue(settings.catalogue_folder)
    with _open(settings) as history:
        source = make_source(history, catalogue, read_contract(settings.feature_folder), now)
        horizon = choose_horizon(settings.horizon_days, source.span)
        held = standing(settings.bundle_folder)
        if held is not None and held.contract.changed_in(source.contract):
            held = None  # its models know other features by these names
        tried = try_all(source, horizon, settings.seed, progress, held)
    report = TrainingReport(tried.reports, horizon / DAY, now, commit_of(Path(__file__).parent))
    progress("writing the bundle", 0.75)
    made_of = (source.contract, source.encoder, tried.covariates, tried.start, tried.reference)
    report = release(settings.bundle_folder, report, tried.trials, *made_of)
    progress("recording the runs", 0.8)
    keeper = tracker or _mlflow(settings)
    keeper.record(report)
    if promote:
        report = promote_if_fit(settings.bundle_folder, report, keeper, _live_decisions(settings))
    progress("done", 1.0)
    return report


def make_source(history: History, catalogue: Catalogue, contract: FeatureContract | None, now: int) -> Source:
    """The history up to `now` with its features and encoder; without a contract, the one the data would give.

    Raises NoData when nothing has happened yet.
    """
    span = history_span(history, now)
    if span is None:
        raise NoData(_nothing_happened(len(history.customers())))
    # A model may only lean on what the store serves, so a contract that was applied comes first.
    contract = contract or build_contract(catalogue, history.attributes())
    return Source(history, span, contract, Encoder.from_catalogue(contract, catalogue), catalogue)


def _nothing_happened(customers: int) -> str:
    if not customers:
        return "the ledger is empty: `segue import` fills it with a history to learn from"
    known = f"there is {customers} customer" if customers == 1 else f"there are {customers:,} customers"
    return (
        f"{known}, but nothing that happened: no event and no decision. `segue import` with a mapping that has "
        "[[event]] or [[decision]] brings a history to learn from"
    )


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """The models fitted, what became of every one, what of a customer propensity is to be corrected by, what that
    correction starts from, and the rows that drift is measured against."""

    trials: tuple[Trial, ...]
    reports: tuple[ModelReport, ...]
    covariates: Covariates
    start: Start
    reference: pa.Table


def try_all(source: Source, horizon: int, seed: int, progress: Progress = silent, held: Bundle | None = None) -> Tried:
    """Fits and judges churn, conversion and propensity, one after the other so that memory holds one data set.

    `held` is the champion's bundle, whose models are judged on the same rows.
    """
    progress("features of customers at the cut-offs", 0.1)
    datasets = customer_datasets(source, horizon)
    tried = []
    for share, name in ((0.25, "churn"), (0.35, "conversion")):
        progress(f"fitting {name}", share)
        tried.append(attempt(name, datasets.get(name), seed, source.encoder, held))
    reference = datasets["conversion"].reference if datasets else None
    datasets = {}
    progress("features of customers at past decisions", 0.45)
    decided = propensity_dataset(source)
    progress("fitting propensity", 0.6)
    trial, about = attempt("propensity", decided, seed, source.encoder, held)
    tried.append((trial, about))
    if reference is None or decided.shortcoming() is None:
        # Rows of decisions are what serving will see; those of cut-offs only stand in for them.
        reference = decided.reference
    columns = source.encoder.customer_columns
    if trial is None:
        covariates = varied_covariates(columns, source.encoder.customer_matrix(reference))
    else:
        covariates = leant_on(trial.scorer, columns, decided)
    if trial is not None and trial.verdict is Verdict.PASS:
        start = make_start(trial, covariates, columns, decided, source.catalogue)
    else:
        start = start_without_model(about.base_rate, covariates, columns, decided, source.catalogue)
    made, reports = tuple(t for t, _ in tried if t is not None), tuple(r for _, r in tried)
    return Tried(made, reports, covariates, start, reference)


def leant_on(scorer: Scorer, customer_columns: tuple[str, ...], dataset: Dataset) -> Covariates:
    """The features of the customer that the propensity model leans on most, as the rows it learned from have them."""
    width = len(customer_columns)
    return choose_covariates(customer_columns, scorer.gains()[:width], dataset.parts[Slice.TRAIN].matrix[:, :width])


def attempt(
    name: str, dataset: Dataset | None, seed: int, encoder: Encoder, held: Bundle | None
) -> tuple[Trial | None, ModelReport]:
    """One model fitted and reported, beside the champion's where there is one, or the reason why there is none."""
    if dataset is None:
        reason = (
            "too little history: it is shorter than four times the horizon, the days ahead that are predicted; "
            "import a longer history, or set a shorter horizon_days in segue.toml"
        )
        return None, ModelReport(name, Verdict.INSUFFICIENT, reason)
    shortcoming = dataset.shortcoming() or ""
    rows, positives, judged = dataset.rows, dataset.positives, {"judged_from": dataset.judged_from}
    about = ModelReport(name, Verdict.INSUFFICIENT, shortcoming, rows, positives, dataset.data_hash, parameters=judged)
    if shortcoming:
        return None, about
    trial = fit(dataset, seed)
    beside = None if held is None else against_champion(held, trial, dataset, encoder)
    return trial, replace(
        about,
        verdict=trial.verdict,
        reason=trial.reason if beside is None else f"{trial.reason}; {beside.told}",
        metrics={**trial.metrics, **({"champion": beside.metrics} if beside and beside.metrics else {})},
        against_constant=trial.against_constant,
        against_logistic=trial.against_logistic,
        against_champion=None if beside is None else beside.comparison,
        parameters=trial.parameters,
        pictures=pictures(name, trial.predictions),
    )


def _open(settings: Settings) -> History:
    existing_ledger(settings.ledger, "`segue import` fills a home with a history to learn from").close()
    return open_history(settings.ledger)


def _live_decisions(settings: Settings) -> int:
    ledger = existing_ledger(settings.ledger)
    try:
        return ledger.count_live()
    finally:
        ledger.close()


def _mlflow(settings: Settings) -> Tracker:
    from training.registry import MlflowTracker  # takes 1.5 s, and only this way of recording needs it

    return MlflowTracker(settings)
