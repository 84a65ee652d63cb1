"""Bundles as they may be judged: without what they start from that came of the decisions they are judged by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from features.ledger import Ledger
from serving.replay import Archive
from training.bundle import Bundle
from training.statistics import day_of


class Unflattered(Archive):
    """An archive whose bundles know nothing of decisions from the day of `since` on."""

    def __init__(self, ledger: Ledger, bundle_folder: Path, since: int) -> None:
        self._since = since
        super().__init__(ledger, bundle_folder)

    def _load_bundle(self, bundle_id: str) -> Bundle:
        bundle = super()._load_bundle(bundle_id)
        return replace(bundle, start=bundle.start.before(day_of(self._since)))
