"""Charts as inline SVG: no script, no font, no file beside the page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_WIDTH, _HEIGHT = 640, 180
_LEFT, _BOTTOM, _TOP = 54, 24, 10


def histogram(edges: Sequence[float], counts: Sequence[int], title: str, mark: float | None = None) -> str:
    """Bars over bins of any widths.

    Parameters
    ----------
    edges
        Bin edges, ascending, one more than ``counts``.
    counts
        Records of each bin ``[edge, next edge)``; the last bin includes its right edge.
    title
        For readers of screens, who can not see the bars.
    mark
        A value at which a thin line stands, such as 0 for residuals.
    """
    if not counts or max(counts) == 0 or edges[-1] <= edges[0]:
        return f'<p class="empty">{escape(title)}: no values.</p>'
    span, top = edges[-1] - edges[0], max(counts)

    def x(value: float) -> float:
        return _LEFT + (value - edges[0]) / span * (_WIDTH - _LEFT)

    def y(count: float) -> float:
        return _TOP + (1 - count / top) * (_HEIGHT - _TOP - _BOTTOM)

    base = y(0)
    bars = [
        f'<rect x="{x(low):.1f}" y="{y(count):.1f}" width="{max(x(high) - x(low) - 0.6, 0.6):.1f}" '
        f'height="{base - y(count):.1f}"><title>{number(low)} to {number(high)}: {count:,}</title></rect>'
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
        if count
    ]
    labels = [_label(x(edges[0] + span * share), _HEIGHT - 8, number(edges[0] + span * share)) for share in _SHARES]
    scale = [f'<text x="{_LEFT - 6}" y="{y(top) + 9:.1f}" class="end">{top:,}</text>']
    line = []
    if mark is not None and edges[0] <= mark <= edges[-1]:
        line = [f'<line x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{_TOP}" y2="{base:.1f}" class="mark"/>']
    axis = f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{base:.1f}" y2="{base:.1f}" class="axis"/>'
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">'
        + "".join([*bars, axis, *line, *labels, *scale])
        + "</svg>"
    )


def bar(share: float, text: str) -> str:
    """A table cell's bar: ``share`` 0 to 1 of the cell's width, with a text beside it."""
    width = 100 * min(max(share, 0.0), 1.0)
    return f'<span class="bar" style="--share:{width:.1f}%">{escape(text)}</span>'


def number(value: float | None) -> str:
    """A number as people read it: four significant digits, thousands apart; a dash where there is none."""
    if value is None:
        return "–"  # noqa: RUF001 -- the dash of a table
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"


_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def _label(x: float, y: float, text: str) -> str:
    anchor = "start" if x < _LEFT + 20 else "end" if x > _WIDTH - 20 else "middle"
    return f'<text x="{x:.1f}" y="{y}" style="text-anchor:{anchor}">{text}</text>'
