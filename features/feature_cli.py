"""The command `segue features ...`."""

from __future__ import annotations

import typer


def commands(app: typer.Typer) -> None:
    """Registers it on `app`."""
