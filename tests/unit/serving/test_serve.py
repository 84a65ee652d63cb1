"""`segue serve` starts BentoML beside whatever else runs on the machine."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from bentoml._internal.configuration import load_config
from bentoml._internal.configuration.containers import BentoMLContainer

from serving.cli import serve


def test_two_services_keep_their_figures_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # BentoML empties the folder when a service starts: sharing it, the second would take the first one's figures away.
    folders = []
    monkeypatch.setattr(os, "execv", lambda *_: folders.append(os.environ["BENTOML_HOME"]))
    monkeypatch.setenv("BENTOML_HOME", "")
    monkeypatch.setenv("SEGUE_HOME", "")
    monkeypatch.setenv("BENTOML_CONFIG_OVERRIDES", "")
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        serve(home=tmp_path, host="127.0.0.1", port=port)
    assert len(set(folders)) == 2
    assert all(Path(folder).is_relative_to(tmp_path) for folder in folders)


def test_bentoml_is_told_the_number_of_workers_where_it_looks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BENTOML_HOME", "SEGUE_HOME", "BENTOML_CONFIG_OVERRIDES"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(os, "execv", lambda *_: None)
    (tmp_path / "segue.toml").write_text("workers = 3\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serve(home=tmp_path, host="127.0.0.1", port=port)
    load_config(use_version=2)
    assert BentoMLContainer.config.services.segue.workers.get() == 3
    monkeypatch.setenv("BENTOML_CONFIG_OVERRIDES", "")
    load_config()
