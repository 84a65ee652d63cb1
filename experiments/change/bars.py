"""Two bars for each name, today's above the new one, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from experiments.change.lines import Line

_WIDTH, _LEFT, _RIGHT, _ROW = 760, 250, 90, 44
_MOST = 20


def bars(lines: Sequence[Line], title: str) -> str:
    """At most 20 names, in the order given; "" for none."""
    shown = lines[:_MOST]
    if not shown:
        return ""
    longest = max(max(line.then, line.new) for line in shown) or 1.0
    parts = [_pair(line, 10 + _ROW * n, longest) for n, line in enumerate(shown)]
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_ROW * len(shown) + 16}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def _pair(line: Line, y: int, longest: float) -> str:
    name, then, new, _ = line.cells()
    drawn = [f'<text x="0" y="{y + 21}">{escape(name[:34])}</text>']
    for place, (value, written, tone) in enumerate(((line.then, then, "soft"), (line.new, new, "better"))):
        width = round(max(0.0, value) / longest * (_WIDTH - _LEFT - _RIGHT), 1)
        top = y + 16 * place
        drawn.append(f'<rect x="{_LEFT}" y="{top}" width="{max(width, 1)}" height="13" fill="var(--{tone})"/>')
        drawn.append(f'<text x="{_LEFT + width + 6}" y="{top + 11}" style="font-size: 12px">{escape(written)}</text>')
    return "".join(drawn)
