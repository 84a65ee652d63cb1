"""The terminal, where a text is shown as it is: an arm called `[b]` or `:a:` is no markup and no emoji."""

from __future__ import annotations

from typing import Any

from rich.console import Console


def screen(**given: Any) -> Console:
    """A console for texts of any origin. What is to stand out is a `rich.text.Text`, or has a style of its own."""
    return Console(markup=False, emoji=False, highlight=False, **given)
