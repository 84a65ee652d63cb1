"""`segue serve` starts BentoML beside whatever else runs on the machine."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from serving.cli import serve


def test_two_services_keep_their_figures_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # BentoML empties the folder when a service starts: sharing it, the second would take the first one's figures away.
    folders = []
    monkeypatch.setattr(os, "execv", lambda *_: folders.append(os.environ["BENTOML_HOME"]))
    monkeypatch.setenv("BENTOML_HOME", "")
    monkeypatch.setenv("SEGUE_HOME", "")
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        serve(home=tmp_path, host="127.0.0.1", port=port)
    assert len(set(folders)) == 2
    assert all(Path(folder).is_relative_to(tmp_path) for folder in folders)
