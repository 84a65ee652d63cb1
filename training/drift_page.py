"""Drift as one small HTML page: the verdict, the features that moved most drawn, and a table of all of them.

No script, no file beside it, nothing fetched. (Evidently's own page of the same result is 8.6 MB.)
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.figures import moment, number

if TYPE_CHECKING:
    from training.drift import DriftReport, FeatureDrift

Floats = NDArray[np.float64]

#: Features drawn: those that moved most.
DRAWN = 8
_BINS = 24
_WIDTH, _HEIGHT = 400, 90
_METHODS = {
    "psi": "population stability index",
    "wasserstein": "Wasserstein distance in standard deviations of the training data",
}
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --paper: #fff; --soft: #5b6676; --line: #d7dde5; --panel: #f5f7fa;
  --before: #8a97a8; --after: #d9720f; --yes: #b3261e; --no: #0b7a4b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --paper: #12161c; --soft: #9aa5b4; --line: #2c3541;
  --panel: #1a2029; --yes: #ff8a80; --no: #4cc38a; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }
.verdict { border-left: .4rem solid var(--tone); background: var(--panel); padding: .8rem 1.2rem; margin: 1.2rem 0; }
.soft { color: var(--soft); } .plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(22rem, 1fr)); }
figure { margin: 0 1rem 1rem 0; } svg { width: 100%; height: auto; }
svg text { fill: var(--soft); font: 12px system-ui; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); } th { color: var(--soft); }
.before { fill: var(--before); } .after { fill: none; stroke: var(--after); stroke-width: 2; }
"""


def page(report: DriftReport, reference: Mapping[str, Floats], current: Mapping[str, Floats], limit: float) -> str:
    """The page. `reference` and `current`: values by feature, NaN where missing; `limit`: of one feature's distance."""
    drifted = sum(feature.drifted for feature in report.features)
    words = "Alarm: the data have changed" if report.alarm else "No alarm"
    plots = "".join(_figure(one, reference[one.name], current[one.name]) for one in report.features[:DRAWN])
    rows = "".join(_row(one) for one in report.features)
    heads = "".join(f"<th>{h}</th>" for h in ("Feature", "Compared", "Distance", "Drifted", "Method"))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Drift: {words}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>'
        f'<h1>Drift</h1><p class="soft">Measured {moment(report.measured_at)} (UTC): the '
        f"latest {report.decisions:,} decisions against {report.reference_rows:,} rows that "
        f"{escape(report.bundle_id)} was judged on.</p>"
        f'<div class="verdict" style="--tone: var(--{"yes" if report.alarm else "no"})"><strong>{words}</strong><br>'
        f"{drifted} of {len(report.features)} features drifted ({report.share:.0%}; alarm above "
        f"{report.threshold:.0%}). {_ADVICE if report.alarm else ''}</div>"
        f"<h2>What moved most</h2><p class='soft'>Grey: when the models were judged. Orange line: as served lately.</p>"
        f'<div class="plots">{plots}</div><h2>All features</h2>'
        f"<p class='soft'>A feature has drifted from a distance of {limit:g} on. Measured by Evidently.</p>"
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></body></html>\n"
    )


_ADVICE = "Look whether a source of data has changed; if the change is real, train again with `segue train`."


def _row(one: FeatureDrift) -> str:
    compared = "values" if one.column == one.name else "whether it is known"
    cells = (one.name, compared, f"{one.distance:.3f}", "yes" if one.drifted else "", _METHODS[one.method])
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _figure(one: FeatureDrift, before: Floats, after: Floats) -> str:
    known = [100.0 * float(np.mean(~np.isnan(side))) for side in (before, after)]
    said = f"{one.name}: distance {one.distance:.2f}; known of {known[0]:.0f} % then, {known[1]:.0f} % lately"
    return f"<figure><figcaption>{escape(said)}</figcaption>{_histogram(before, after, said)}</figure>"


def _histogram(before: Floats, after: Floats, title: str) -> str:
    """Shares of both sides in the same bins, between the 1st and 99th hundredth of all values; the rest at the ends."""
    known = np.concatenate([before[~np.isnan(before)], after[~np.isnan(after)]])
    if not known.size:
        return "<p>no values</p>"
    low, high = (float(end) for end in np.quantile(known, (0.01, 0.99)))
    edges = np.linspace(low, high if high > low else low + 1.0, _BINS + 1)
    shares = [_shares(side[~np.isnan(side)], edges) for side in (before, after)]
    top, wide = max(float(side.max()) for side in shares) or 1.0, _WIDTH / _BINS
    heights = [_HEIGHT * side / top for side in shares]
    bars = "".join(
        f'<rect class="before" x="{n * wide:.1f}" y="{_HEIGHT - h:.1f}" width="{wide - 1:.1f}" height="{h:.1f}"/>'
        for n, h in enumerate(heights[0])
    )
    steps = " ".join(f"H{n * wide:.1f} V{_HEIGHT - h:.1f} H{(n + 1) * wide:.1f}" for n, h in enumerate(heights[1]))
    return (
        f'<svg viewBox="0 -4 {_WIDTH} {_HEIGHT + 24}" role="img" aria-label="{escape(title)}">{bars}'
        f'<path class="after" d="M0 {_HEIGHT} {steps} V{_HEIGHT}"/>'
        f'<text x="0" y="{_HEIGHT + 16}">{number(float(edges[0]))}</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT + 16}" text-anchor="end">{number(float(edges[-1]))}</text></svg>'
    )


def _shares(values: Floats, edges: Floats) -> Floats:
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    return counts / max(1, values.size)
