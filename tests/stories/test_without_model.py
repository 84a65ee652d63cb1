"""A service without a propensity model says so wherever one looks: in its answers, its readiness, its metrics."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import httpx

from features.settings import load_settings
from training.bundle import champion, publish_champion, read_verified, write_bundle


def without_propensity(home: Path) -> None:
    """Makes the champion's churn and conversion models the champion."""
    settings = load_settings(home)
    current = champion(settings.bundle_folder)
    assert current is not None
    files = read_verified(current)
    manifest = json.loads(files.pop("manifest.json"))
    kept = {name: content for name, content in files.items() if not name.startswith("propensity.")}
    del manifest["files"]
    manifest["models"] = [name for name in manifest["models"] if name != "propensity"]
    folder = write_bundle(settings.bundle_folder, manifest, kept)
    publish_champion(settings.bundle_folder, folder.name)
    shutil.rmtree(current)


def test_a_missing_model_is_named_by_the_answer_readiness_and_metrics(new_home: Any, serve: Any) -> None:
    home = new_home()
    without_propensity(home)
    with serve(home) as service, service.client() as client:
        answer = client.post("/v1/decide", json={"request_id": "r-1", "customer_id": "sim-000001"}).json()
        assert answer["fallback_reason"] == "no_propensity_model"
        assert answer["versions"]["bundle"] is not None
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["models_missing"]) == (200, ["propensity"])
        assert metric(client) == 1.0


def metric(client: httpx.Client) -> float:
    """Of the propensity model; the watcher sets it in its first round."""
    deadline = time.monotonic() + 20.0
    while True:
        for line in client.get("/metrics").text.splitlines():
            if line.startswith('segue_model_missing{model="propensity"}'):
                return float(line.split()[-1])
        assert time.monotonic() < deadline, "the metric never came"
        time.sleep(0.2)
