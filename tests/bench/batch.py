"""Batch decisions for everybody beside LightGBM alone on the same rows: customers x arms that were still allowed."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import lightgbm
import numpy as np

from features import clock
from features.ledger import Ledger, open_ledger
from features.settings import Settings, load_settings
from serving.assignment import holdout_layer
from serving.batch import Batch, BatchRequest
from serving.batch_file import DecisionFile
from serving.refresh import Live
from serving.strategy import Strategy
from serving.wiring import calm_garbage, end_calm, features_opener
from training.explorer import make_explorer

ROUNDS = 5


@dataclass(frozen=True, slots=True)
class BatchSeconds:
    """Seconds of each round, (n,): a batch that records and reserves, one that only writes its file, predictions.

    `squarecb` records too, by the cheaper policy that the prototype of workload W drew with.
    """

    recorded: np.ndarray
    squarecb: np.ndarray
    dry: np.ndarray
    bare: np.ndarray
    customers: int
    rows: int


def batch_seconds(home: Path) -> BatchSeconds:
    """Rounds of the three in turn, each on the ledger as it was: contacts of earlier rounds would have to be read too.

    Reading customers, contacts and features, deciding, committing and writing the file all count; opening the stores
    and loading the models, which is done once, does not. The bare prediction has its matrix ready and one thread.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        copy = folder / "home"
        shutil.copytree(home, copy, ignore=shutil.ignore_patterns("mlruns", "*.log", "ledger.db*"))
        settings = load_settings(copy, environment={})
        with _as_it_was(home, settings) as ledger:
            live = _live(settings, ledger)
            customers = ledger.customer_ids()
            booster, matrix = bare(_batch(settings, ledger, live, live.strategy), live, customers)
        times: list[tuple[float, ...]] = []
        for number in range(ROUNDS + 1):
            with _as_it_was(home, settings) as ledger:
                live = _live(settings, ledger)
                batch = _batch(settings, ledger, live, live.strategy)
                calm_garbage()  # as the command does
                dry = _timed(batch, ledger, folder, BatchRequest(f"dry-{number}", record=False))
                recorded = _timed(batch, ledger, folder, BatchRequest(f"bench-{number}"))
            with _as_it_was(home, settings) as ledger:
                live = _live(settings, ledger)
                cheap = _batch(settings, ledger, live, _by_squarecb(settings, live))
                calm_garbage()
                squarecb = _timed(cheap, ledger, folder, BatchRequest(f"squarecb-{number}"))
            start = time.perf_counter()
            booster.predict(matrix, raw_score=True, num_threads=1)
            times.append((recorded, squarecb, dry, time.perf_counter() - start))
            end_calm()
    columns = np.array(times[1:]).T  # the first round warms
    return BatchSeconds(*columns, customers=len(customers), rows=len(matrix))


@contextmanager
def _as_it_was(home: Path, settings: Settings) -> Iterator[Ledger]:
    """The ledger of `home`, copied to where the settings have theirs."""
    for old in settings.home.glob("ledger.db*"):
        old.unlink()
    for file in home.glob("ledger.db*"):
        shutil.copy(file, settings.home / file.name)
    ledger = open_ledger(settings.ledger, tidy_aside=True)
    try:
        yield ledger
    finally:
        ledger.close()


def _by_squarecb(settings: Settings, live: Live) -> Strategy:
    explorer = make_explorer(replace(settings, policy="squarecb"))
    return replace(live.strategy, policy=explorer).warm()


def _live(settings: Settings, ledger: Ledger) -> Live:
    live = Live(settings, ledger, features_opener(settings))
    live.refresh()
    return live


def _batch(settings: Settings, ledger: Ledger, live: Live, strategy: Strategy) -> Batch:
    return Batch(settings, ledger, strategy, live.features, [holdout_layer(settings.holdout_share)])


def _timed(batch: Batch, ledger: Ledger, folder: Path, request: BatchRequest) -> float:
    start = time.perf_counter()
    with DecisionFile(folder / "decisions.parquet") as file:
        for decisions in batch.decide(request, ledger.customer_ids(), clock.now):
            file.write(decisions)
    return time.perf_counter() - start


def bare(batch: Batch, live: Live, customer_ids: list[str]) -> tuple[lightgbm.Booster, np.ndarray]:
    """The propensity model as LightGBM has it, and the rows that a batch needs predicted."""
    strategy, parts = live.strategy, []
    bundle = strategy.bundle
    assert bundle is not None
    arms = bundle.encoder.arm_matrix(strategy.arms, strategy.catalogue)
    known = batch.knowledge(customer_ids, clock.now())
    for decisions in batch.decide(BatchRequest("rows", record=False), customer_ids, clock.now):
        for one in decisions:
            if one.candidates is None:
                continue
            rows = [n for n, out in enumerate(one.candidates.removed) if out < 0 and n != strategy.nothing]
            customer = bundle.encoder.customer_row(known[one.customer_id].features)
            parts.append(np.hstack([np.tile(customer, (len(rows), 1)), arms[rows]]))
    return lightgbm.Booster(model_str=bundle.scorers["propensity"].text), np.vstack(parts)
