"""Services under measurement: started as users start them, ready, and gone afterwards."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from experiments.processes import Children, choose_port, wait_until_ready


@contextlib.contextmanager
def segue_serve(home: Path, workers: int, ledger_url: str = "") -> Iterator[int]:
    """The port of `segue serve` over a home, with so many workers; a ledger elsewhere by its address."""
    lines = [f"workers = {workers}", "decision_log = false"]
    lines += [f'ledger_url = "{ledger_url}"'] if ledger_url else []
    (home / "segue.toml").write_text("\n".join(lines))
    port = choose_port("127.0.0.1", 0, insist=False)
    with Children(home / "logs" / str(port)) as children:
        command = [sys.executable, "-m", "features.cli", "serve", "--home", str(home), "--port", str(port)]
        wait_until_ready(f"http://127.0.0.1:{port}", children.start("service", command))
        yield port
