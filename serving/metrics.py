"""What operators see: counts and times of decisions for Prometheus. Every label's values come from us, never from a
request, so that their number is bounded.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Collection, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from features.clock import SECOND
from features.domain import Decision, Stage
from serving.metrics_page import page
from serving.shadow import Compared
from serving.strategy import MODELS

_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.035, 0.05, 0.1, 0.25, 1.0)
_AGES = (60, 600, 3_600, 21_600, 86_400, 172_800, 604_800, 2_592_000)


class Metrics:
    """The figures of one worker; of all, when they share a folder (PROMETHEUS_MULTIPROC_DIR)."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        own = self._registry
        self._decisions = Counter(
            "segue_decisions", "Decisions by result and reason", ("result", "reason"), registry=own
        )
        self._fallbacks = Counter("segue_fallbacks", "Decisions made with something missing", ("reason",), registry=own)
        self._replayed = Counter("segue_replayed", "Requests answered from the ledger", registry=own)
        self._looks = Counter("segue_dry_runs", "Looks answered, of which nothing was written", registry=own)
        self._drops = Counter(
            "segue_candidates_dropped", "Arms removed, by stage of the funnel", ("stage",), registry=own
        )
        self._caps = Counter(
            "segue_contact_rule_hits", "Decisions in which a contact rule was closed", ("rule",), registry=own
        )
        self._explored = Counter(
            "segue_explored", "Decisions that did not take the arm of the highest priority", registry=own
        )
        self._retries = Counter(
            "segue_contact_taken", "Decisions made again because a contact was taken meanwhile", registry=own
        )
        self._seconds = Histogram(
            "segue_decision_seconds", "Time of a decision, stores included", buckets=_SECONDS, registry=own
        )
        self._ages = Histogram(
            "segue_feature_age_seconds", "Age of the features decided with", buckets=_AGES, registry=own
        )
        self._shadowed = Counter(
            "segue_shadow",
            "Decisions made again by the challenger: same, another, failed; skipped: more came than it takes",
            ("choice",),
            registry=own,
        )
        self._overlap = Counter(
            "segue_shadow_overlap", "Chance of choosing alike, added up over those decisions", registry=own
        )
        self._shadow_seconds = Histogram(
            "segue_shadow_seconds",
            "Time of the challenger's decision, engine alone",
            buckets=_SECONDS,
            registry=own,
        )
        self._ramp = Gauge(
            "segue_ramp_share",
            "Share of customers decided for by the challenger",
            multiprocess_mode="livemax",
            registry=own,
        )
        self._apprentice = Counter(
            "segue_apprentice", "Incumbents' choices answered, by whether Segue agreed", ("agreed",), registry=own
        )
        self._errors = Counter("segue_errors", "Requests refused or failed, by code", ("code",), registry=own)
        self._open = Gauge(
            "segue_feature_store_given_up",
            "1 while decisions do not wait for the feature store",
            multiprocess_mode="livemax",
            registry=own,
        )
        self._stale = Gauge(
            "segue_stale",
            "1 while the newest could not be taken in, and the last good one decides",
            ("part",),
            multiprocess_mode="livemax",
            registry=own,
        )
        workers = Gauge("segue_workers", "Worker processes that decide", multiprocess_mode="livesum", registry=own)
        workers.set(1)
        self._missing = Gauge(
            "segue_model_missing",
            "1 while a model that the catalogue asks for is not released: its base rate stands in",
            ("model",),
            multiprocess_mode="livemax",
            registry=own,
        )

    def models_missing(self, missing: Collection[str]) -> None:
        """Which of the models that would decide are not there."""
        for name in MODELS:
            self._missing.labels(name).set(float(name in missing))

    def decided(self, decision: Decision, seconds: float, feature_time: int | None) -> None:
        """One decision, how long it took, and the time of the features it used."""
        self._decisions.labels(decision.result, decision.reason or "none").inc()
        self._seconds.observe(seconds)
        if decision.fallback_reason:
            self._fallbacks.labels(decision.fallback_reason).inc()
        if feature_time is not None:
            self._ages.observe((decision.decided_at - feature_time) / SECOND)
        if decision.attempt > 1:
            self._retries.inc(decision.attempt - 1)
        if decision.apprentice is not None:
            self._apprentice.labels("yes" if decision.apprentice.agreed else "no").inc()
        candidates = decision.candidates
        if candidates is None:
            return
        counts = Tally(candidates.removed)
        for place, removal in enumerate(candidates.removals):
            self._drops.labels(removal.stage.value).inc(counts[place])
            if removal.stage is Stage.CONTACT_POLICY:
                self._caps.labels(removal.rule).inc()
        if decision.items[0].priority < max(p for p in candidates.column("priority") if p is not None):
            self._explored.inc()

    def replayed(self) -> None:
        self._replayed.inc()

    def looked(self) -> None:
        self._looks.inc()

    def refused(self, code: str) -> None:
        self._errors.labels(code).inc()

    def shadowed(self, compared: Compared | None) -> None:
        """One decision made again by the challenger; None: it could not."""
        if compared is None:
            self._shadowed.labels("failed").inc()
            return
        self._shadowed.labels("same" if compared.same else "another").inc()
        self._overlap.inc(compared.overlap)
        self._shadow_seconds.observe(compared.seconds)

    def shadow_skipped(self, decisions: int) -> None:
        """So many came at more than the shadow's pace, and were let go."""
        if decisions:
            self._shadowed.labels("skipped").inc(decisions)

    def ramp(self, share: float) -> None:
        self._ramp.set(share)

    def store_given_up(self, given_up: bool) -> None:
        self._open.set(float(given_up))

    def stale(self, parts: Mapping[str, bool]) -> None:
        for part, stale in parts.items():
            self._stale.labels(part).set(float(stale))

    def text(self) -> bytes:
        """The page Prometheus reads, see `serving.metrics_page`."""
        return page(self._registry)
