"""Effects with their intervals, drawn as inline SVG: a dot and a line for each, and a rule at zero."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from features.figures import fixed

_WIDTH, _LEFT, _RIGHT, _ROW = 760, 210, 30, 46
#: An interval longer than this is cut off with an arrow, so that the others can still be read.
_FURTHEST = 2.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One relative effect (0.1 is +10 %) with its interval; `tone` is better | worse | insufficient."""

    label: str
    estimate: float
    low: float
    high: float
    tone: str


def forest(bars: Sequence[Bar], title: str) -> str:
    """The plot of at least one bar, scaled so that zero and every interval (up to ±200 %) are in sight."""
    ends = [min(max(v, -1.0), _FURTHEST) for bar in bars for v in (bar.low, bar.high)]
    step = _step(max(*ends, 0.0) - min(*ends, 0.0))
    first, last = math.floor(min(*ends, 0.0) / step), math.ceil(max(*ends, 0.0) / step)
    height = _ROW * len(bars) + 50

    def x(value: float) -> float:
        share = (min(max(value, first * step), last * step) / step - first) / max(1, last - first)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    parts = [_tick(n * step, x(n * step), height) for n in range(first, last + 1)]
    parts += [_bar(bar, 30 + _ROW * n, x, last * step) for n, bar in enumerate(bars)]
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def _step(span: float) -> float:
    """A round distance between ticks that gives four to nine of them."""
    raw = max(span, 0.01) / 6
    power = 10.0 ** math.floor(math.log10(raw))
    return next(power * m for m in (1, 2, 5, 10) if raw <= power * m)


def _tick(value: float, x: float, height: int) -> str:
    zero = abs(value) < 1e-12
    style = 'stroke="currentColor" stroke-width="1.5"' if zero else 'stroke="var(--line)"'
    digits = 0 if abs(value * 100 - round(value * 100)) < 1e-6 else 1
    text = "no effect" if zero else f"{fixed(100 * value, digits, sign=True)} %"
    return (
        f'<line x1="{x}" y1="8" x2="{x}" y2="{height - 30}" {style}/>'
        f'<text x="{x}" y="{height - 10}" text-anchor="middle">{text}</text>'
    )


def _bar(bar: Bar, y: int, x: Callable[[float], float], end: float) -> str:
    colour = f"var(--{bar.tone})"
    arrow = "▸" if bar.high > end else ""
    return (
        f'<text x="0" y="{y + 5}">{escape(bar.label)}</text>'
        f'<line x1="{x(bar.low)}" y1="{y}" x2="{x(bar.high)}" y2="{y}" stroke="{colour}" stroke-width="4" '
        'stroke-linecap="round"/>'
        f'<circle cx="{x(bar.estimate)}" cy="{y}" r="7" fill="{colour}"/>'
        f'<text x="{x(bar.high) + 4}" y="{y + 5}" style="fill: {colour}">{arrow}</text>'
    )
