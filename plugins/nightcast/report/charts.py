"""Charts as inline SVG: no script, no font, no file beside the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDE, NARROW = 640, 360
"""Widths in units of the drawing, whose text is 11 units high: what a page's column is, and a phone's."""
_HEIGHT, _BOX_HEIGHT = 180, 26
_LEFT, _BOTTOM, _TOP = 54, 24, 10
_ROW, _LABEL_WIDTH, _COUNT_WIDTH = 20, 120, 116
_LABEL_CHARACTERS = 19


@dataclass(frozen=True)
class Box:
    """The five numbers of a box plot, ascending: ends of the whiskers, ends of the box, and the median within."""

    low: float
    lower: float
    median: float
    upper: float
    high: float


@dataclass(frozen=True)
class _Scale:
    """Places of values on the drawing's x axis."""

    first: float
    last: float
    width: int

    def x(self, value: float) -> float:
        # Each of the two shares is finite where the span of all float64 values is not.
        span = self.last / 2 - self.first / 2
        return _LEFT + (value / 2 - self.first / 2) / span * (self.width - _LEFT)


def histogram(
    edges: Sequence[float],
    counts: Sequence[int],
    title: str,
    mark: float | None = None,
    *,
    box: Box | None = None,
    width: int = WIDE,
    label: Callable[[float], str] | None = None,
) -> str:
    """Bars over bins of any widths, and below them a box plot on the same axis.

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
    box
        Drawn if given; what lies outside the edges is cut off.
    width
        `WIDE` or `NARROW`.
    label
        How values of the axis are written; `number` by default.
    """
    if not counts or max(counts) == 0 or edges[-1] <= edges[0]:
        return f'<p class="empty">{escape(title)}: no values.</p>'
    scale, top, write = _Scale(edges[0], edges[-1], width), max(counts), label or number
    base = _HEIGHT - _BOTTOM

    def y(count: float) -> float:
        return _TOP + (1 - count / top) * (base - _TOP)

    bars = [
        f'<rect x="{scale.x(low):.1f}" y="{y(count):.1f}" width="{max(scale.x(high) - scale.x(low) - 0.6, 0.6):.1f}" '
        f'height="{base - y(count):.1f}"><title>{escape(write(low))} to {escape(write(high))}: {count:,}</title></rect>'
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
        if count
    ]
    line = []
    if mark is not None and edges[0] <= mark <= edges[-1]:
        x = scale.x(mark)
        line = [f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{base}" class="mark"/>']
    below = 0 if box is None else _BOX_HEIGHT
    tallest = counts.index(top)
    described = (
        f"{sum(counts):,} values from {write(edges[0])} to {write(edges[-1])}; the tallest bar, "
        f"{write(edges[tallest])} to {write(edges[tallest + 1])}, has {top:,}."
    )
    return svg(
        [
            *bars,
            f'<line x1="{_LEFT}" x2="{width}" y1="{base}" y2="{base}" class="axis"/>',
            *line,
            *([] if box is None else _box_marks(box, scale, base + _BOX_HEIGHT / 2, write)),
            *_axis_labels(scale, write, _HEIGHT + below - 8),
            f'<text x="{_LEFT - 6}" y="{_TOP + 9}" class="end">{compact(top)}</text>',
        ],
        (width, _HEIGHT + below),
        title,
        described,
    )


def value_bars(values: Sequence[tuple[str, int]], records: int, title: str, other: int = 0) -> str:
    """A bar a value, with its count and its share of the records.

    Parameters
    ----------
    values
        Pairs of value and number of records, in the order to show.
    records
        What the shares are of.
    title
        For readers of screens.
    other
        Records with none of the values: a last, paler bar if there are any.
    """
    rows = [(value or "(empty)", count, "") for value, count in values]
    rows += [("other", other, ' class="other"')] if other > 0 else []
    top = max((count for _, count, _ in rows), default=0)
    if top == 0:
        return f'<p class="empty">{escape(title)}: no values.</p>'
    room = NARROW - _LABEL_WIDTH - _COUNT_WIDTH
    marks = []
    for place, (value, count, kind) in enumerate(rows):
        y, length = place * _ROW, max(room * count / top, 0.6)
        told = f"{compact(count)} · {percent(count, records)}"
        marks.append(
            f"<g><title>{_one_line(value, 200)}: {count:,}</title>"
            f'<text x="{_LABEL_WIDTH - 6}" y="{y + 14}" class="end">{_one_line(value, _LABEL_CHARACTERS)}</text>'
            f'<rect x="{_LABEL_WIDTH}" y="{y + 3}" width="{length:.1f}" height="{_ROW - 6}"{kind}/>'
            f'<text x="{_LABEL_WIDTH + length + 6:.1f}" y="{y + 14}">{told}</text>'
            "</g>"
        )
    described = "; ".join(f"{plain(value, 80)}: {count:,}" for value, count, _ in rows)
    return svg(marks, (NARROW, len(rows) * _ROW), title, described)


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
    if abs(value) >= 1e15:
        return f"{value:.4g}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"


def compact(count: int) -> str:
    """A count in at most seven characters.

    Examples
    --------
    >>> compact(9_999), compact(1_254_000), compact(30_000)
    ('9,999', '1.254M', '30k')
    """
    for power, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if count >= power:
            return f"{count / (1e3 if letter == 'k' else power):.4g}{letter}"
    return f"{count:,}"


def percent(count: float, records: float) -> str:
    """A share in percent; one that is not 0 never looks like 0, nor one below 100 like 100.

    Examples
    --------
    >>> percent(1, 8), percent(1, 1_000_000), percent(999_999, 1_000_000), percent(0, 5), percent(0, 0)
    ('12.5 %', '< 0.1 %', '> 99.9 %', '0 %', '0 %')
    """
    if not count or not records:
        return "0 %"
    share = 100 * count / records
    if share < 0.1:
        return "< 0.1 %"
    if 99.9 < share < 100:
        return "> 99.9 %"
    return f"{share:.1f} %" if share < 100 else "100 %"


def plain(text: str, characters: int = 200) -> str:
    """The beginning of a text of a user's; what can not be printed, or would turn its direction, is replaced.

    Examples
    --------
    >>> plain("a\\tb"), plain("abcdef", 4)
    ('a\N{REPLACEMENT CHARACTER}b', 'abc…')
    """
    shown = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text[: characters + 1])
    return shown if len(shown) <= characters else shown[: characters - 1] + "…"


def svg(marks: Sequence[str], size: tuple[int, int], title: str, description: str) -> str:
    """A drawing of marks that are SVG already, with words for readers of screens."""
    width, height = size
    return (
        f'<svg viewBox="0 0 {width} {height}" class="w{width}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{''.join(marks)}</svg>"
    )


def _box_marks(box: Box, scale: _Scale, y: float, write: Callable[[float], str]) -> list[str]:
    def x(value: float) -> float:
        return scale.x(min(max(value, scale.first), scale.last))

    text = f"median {write(box.median)}, half of the values {write(box.lower)} to {write(box.upper)}"
    return [
        f"<g><title>{escape(text)}</title>",
        f'<line x1="{x(box.low):.1f}" x2="{x(box.high):.1f}" y1="{y}" y2="{y}" class="whisker"/>',
        f'<rect x="{x(box.lower):.1f}" y="{y - 6}" width="{max(x(box.upper) - x(box.lower), 1):.1f}" height="12" '
        'class="box"/>',
        f'<line x1="{x(box.median):.1f}" x2="{x(box.median):.1f}" y1="{y - 6}" y2="{y + 6}" class="median"/></g>',
    ]


def _axis_labels(scale: _Scale, write: Callable[[float], str], y: float) -> list[str]:
    shares = (0.0, 0.25, 0.5, 0.75, 1.0) if scale.width == WIDE else (0.0, 0.5, 1.0)
    values = [scale.first * (1 - share) + scale.last * share for share in shares]
    return [_label(scale.x(value), y, escape(write(value)), scale.width) for value in values]


def _label(x: float, y: float, text: str, width: int) -> str:
    anchor = "start" if x < _LEFT + 20 else "end" if x > width - 20 else "middle"
    return f'<text x="{x:.1f}" y="{y}" style="text-anchor:{anchor}">{text}</text>'


def _one_line(text: str, characters: int) -> str:
    return escape(plain(text, characters))
