"""The page Prometheus reads: the figures of all workers of a service, and what they take of the machine."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry, Metric, ProcessCollector, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

#: A file of figures in the shared folder: kind, mode of a gauge, and the process it belongs to.
_FILE = re.compile(r"(?:counter|histogram|gauge_[a-z]+)_(\d+)\.db")
#: How figures of processes are put together where they are not added up.
_PUT_TOGETHER = {"process_start_time_seconds": min}


def page(registry: CollectorRegistry) -> bytes:
    """`registry` as text; in a service of several workers, what all of them counted.

    Counts of a worker that was killed stay; its gauges, such as that a part is stale, go with it.
    """
    whole = CollectorRegistry()
    # What counts is how values were kept when the library was loaded, not what the environment says by now.
    if values.ValueClass is values.MutexValue:
        whole.register(_Processes((os.getpid(),)))
        whole.register(_Ours(registry))
    else:
        folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
        living = _forget_the_dead(folder)
        whole.register(_Processes(living))
        whole.register(_Ours(MultiProcessCollector(None, str(folder))))
    return generate_latest(whole)


def _forget_the_dead(folder: Path) -> tuple[int, ...]:
    """Takes the gauges of processes that ended out of the folder, and gives the others: children of our supervisor."""
    pids = {int(found[1]) for file in folder.iterdir() if (found := _FILE.fullmatch(file.name))}
    living = tuple(pid for pid in sorted(pids) if _is_worker(pid))
    for pid in pids.difference(living):
        mark_process_dead(pid, str(folder))
    return living


def _is_worker(pid: int) -> bool:
    """Whether it runs beside us: a number that was given to somebody else since has another parent."""
    try:
        process = psutil.Process(pid)
        return pid == os.getpid() or (process.ppid() == os.getppid() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class _Ours(Collector):
    """What is ours of a collection: libraries leave theirs in a shared folder too, Feast for one."""

    def __init__(self, collector: Collector | CollectorRegistry) -> None:
        self._collector = collector

    def collect(self) -> Iterator[Metric]:
        return (metric for metric in self._collector.collect() if metric.name.startswith("segue_"))


@dataclass(frozen=True)
class _Processes(Collector):
    """Processor time, memory and open files of several processes together."""

    pids: tuple[int, ...]

    def collect(self) -> Iterator[Metric]:
        found: dict[str, Metric] = {}
        for pid in self.pids:
            for metric in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                so_far = found.setdefault(metric.name, metric)
                if so_far is not metric:
                    so_far.samples = [
                        sample._replace(value=_PUT_TOGETHER.get(sample.name, _added)(before.value, sample.value))
                        for before, sample in zip(so_far.samples, metric.samples, strict=True)
                    ]
        return iter(found.values())


def _added(one: float, other: float) -> float:
    return one + other
