"""The sub-commands of `experiments`."""

from __future__ import annotations

import typer


def commands(app: typer.Typer) -> None:
    """Registers them on `app`."""
