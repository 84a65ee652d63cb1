"""Policy values with their intervals as inline SVG: a dot and a line for each, and a rule at what the log earned."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _LEFT, _RIGHT, _ROW = 760, 260, 30, 40


@dataclass(frozen=True, slots=True)
class Line:
    """One value with its interval, in the unit of the reward; `tone` is better | worse | insufficient."""

    label: str
    value: float
    low: float
    high: float
    tone: str


def forest(lines: Sequence[Line], rule: float, title: str) -> str:
    """The plot of at least one line, scaled so that all of them and the rule are in sight."""
    lowest, highest = min(rule, *(line.low for line in lines)), max(rule, *(line.high for line in lines))
    step = _step(highest - lowest)
    first, last = math.floor(lowest / step), math.ceil(highest / step)
    last = max(last, first + 1)
    height = _ROW * len(lines) + 60

    def x(value: float) -> float:
        return round(_LEFT + (value / step - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT), 1)

    parts = [_tick(n * step, x(n * step), height, step) for n in range(first, last + 1)]
    parts.append(
        f'<line x1="{x(rule)}" y1="8" x2="{x(rule)}" y2="{height - 40}" stroke="currentColor" stroke-width="1.5" '
        'stroke-dasharray="5 4"/>'
    )
    parts += [_line(line, 28 + _ROW * n, x) for n, line in enumerate(lines)]
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def _step(span: float) -> float:
    """A round distance between ticks that gives four to nine of them."""
    raw = max(span, 1e-9) / 6
    power = 10.0 ** math.floor(math.log10(raw))
    return next(power * m for m in (1, 2, 5, 10) if raw <= power * m * (1 + 1e-9))


def _tick(value: float, x: float, height: int, step: float) -> str:
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return (
        f'<line x1="{x}" y1="8" x2="{x}" y2="{height - 40}" stroke="var(--line)"/>'
        f'<text x="{x}" y="{height - 18}" text-anchor="middle">{value:,.{digits}f}</text>'
    )


def _line(line: Line, y: int, x: Callable[[float], float]) -> str:
    colour = f"var(--{line.tone})"
    return (
        f'<text x="0" y="{y + 5}">{escape(line.label)}</text>'
        f'<line x1="{x(line.low)}" y1="{y}" x2="{x(line.high)}" y2="{y}" stroke="{colour}" stroke-width="4" '
        'stroke-linecap="round"/>'
        f'<circle cx="{x(line.value)}" cy="{y}" r="6" fill="{colour}"/>'
    )
