"""Charts of an evaluation as inline SVG: scores by class, calibration, errors in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from nightcast.report.charts import NARROW, WIDE, compact, number, svg

_LEFT, _BOTTOM, _TOP, _HEIGHT = 54, 24, 10, 180
_SIDE = 280


def score_chart(zeros: Sequence[int], ones: Sequence[int], threshold: float) -> str:
    """Scores of both classes on one axis: class 1 upwards, class 0 downwards, and a line at the threshold.

    Parameters
    ----------
    zeros, ones
        Records in bars of equal width from 0 to 1.
    threshold
        From which on the label is 1.
    """
    top = max(*zeros, *ones, 1)
    middle, half = _TOP + 80, 80
    width = (WIDE - _LEFT) / len(ones)
    marks = []
    for kind, counts in (("one", ones), ("zero", zeros)):
        for place, count in enumerate(counts):
            if not count:
                continue
            tall = max(half * count / top, 0.6)
            y = middle - tall if kind == "one" else middle
            low, high = place / len(counts), (place + 1) / len(counts)
            marks.append(
                f'<rect x="{_LEFT + place * width:.1f}" y="{y:.1f}" width="{width - 0.6:.1f}" height="{tall:.1f}" '
                f'class="{kind}"><title>class {int(kind == "one")}, score {low:.2f} to {high:.2f}: {count:,}'
                "</title></rect>"
            )
    x = _LEFT + threshold * (WIDE - _LEFT)
    base = middle + half
    marks += [
        f'<line x1="{_LEFT}" x2="{WIDE}" y1="{middle}" y2="{middle}" class="axis"/>',
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{base}" class="mark"/>',
        f'<text x="{_LEFT - 6}" y="{_TOP + 9}" class="end">{compact(top)}</text>',
        f'<text x="{_LEFT - 6}" y="{middle - 26}" class="end">class 1</text>',
        f'<text x="{_LEFT - 6}" y="{middle + 34}" class="end">class 0</text>',
        *_ticks([0.0, 0.25, 0.5, 0.75, 1.0], base + 18, WIDE),
    ]
    described = f"{sum(ones):,} records of class 1 and {sum(zeros):,} of class 0; the threshold is {threshold:g}."
    return svg(marks, (WIDE, base + _BOTTOM), "Scores by class", described)


def calibration_chart(points: Sequence[tuple[float, float, int]]) -> str:
    """Mean score against share of ones; a calibrated model's points lie on the diagonal.

    Parameters
    ----------
    points
        (mean score, share of ones, records), each share 0 to 1.
    """
    right, base = _LEFT + _SIDE, _TOP + _SIDE

    def place(point: tuple[float, float, int]) -> tuple[float, float]:
        return _LEFT + point[0] * _SIDE, base - point[1] * _SIDE

    most = max(records for _, _, records in points)
    marks = [
        f'<line x1="{_LEFT}" x2="{right}" y1="{base}" y2="{_TOP}" class="mark"/>',
        f'<line x1="{_LEFT}" x2="{right}" y1="{base}" y2="{base}" class="axis"/>',
        f'<line x1="{_LEFT}" x2="{_LEFT}" y1="{_TOP}" y2="{base}" class="axis"/>',
        f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, points))}" class="line"/>',
    ]
    for point in points:
        x, y = place(point)
        text = f"mean score {point[0]:.3f}, share of ones {point[1]:.3f}: {point[2]:,} records"
        radius = 3 + 5 * (point[2] / most) ** 0.5
        marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"><title>{text}</title></circle>')
    marks += _ticks([0.0, 0.5, 1.0], base + 18, right)
    marks += [
        f'<text x="{_LEFT - 6}" y="{base - share * _SIDE + 4:.1f}" class="end">{share:g}</text>'
        for share in (0, 0.5, 1)
    ]
    described = "; ".join(f"{score:.2f} mean score, {share:.2f} ones" for score, share, _ in points)
    return svg(marks, (max(right + 10, NARROW), base + _BOTTOM), "Calibration", described)


def lines_chart(labels: Sequence[str], series: Mapping[str, Sequence[float]], title: str) -> str:
    """A line a series over labels in equal distance, zero included.

    Parameters
    ----------
    labels
        Of the places on the axis, at least two.
    series
        Title -> one value a label.
    """
    values = [value for line in series.values() for value in line]
    low, high = min(0.0, *values), max(0.0, *values)
    span = (high - low) or 1.0
    base, step = _HEIGHT - _BOTTOM, (WIDE - _LEFT - 6) / (len(labels) - 1)

    def y(value: float) -> float:
        return _TOP + (high - value) / span * (base - _TOP)

    marks = [f'<line x1="{_LEFT}" x2="{WIDE}" y1="{y(0.0):.1f}" y2="{y(0.0):.1f}" class="axis"/>']
    for order, (name, line) in enumerate(series.items()):
        points = " ".join(f"{_LEFT + place * step:.1f},{y(value):.1f}" for place, value in enumerate(line))
        marks.append(f'<polyline points="{points}" class="line line{order}"><title>{escape(name)}</title></polyline>')
        for place, value in enumerate(line):
            told = f"{escape(labels[place])}: {escape(name)} {number(value)}"
            marks.append(
                f'<circle cx="{_LEFT + place * step:.1f}" cy="{y(value):.1f}" r="2.5" class="line{order}">'
                f"<title>{told}</title></circle>"
            )
    marks += [
        f'<text x="{_LEFT - 6}" y="{y(high) + 4:.1f}" class="end">{high:.3g}</text>',
        *([f'<text x="{_LEFT - 6}" y="{y(low) + 4:.1f}" class="end">{low:.3g}</text>'] if low < 0 else []),
    ]
    for place, anchor in ((0, "start"), (len(labels) // 2, "middle"), (len(labels) - 1, "end")):
        x = _LEFT + place * step
        marks.append(f'<text x="{x:.1f}" y="{_HEIGHT - 8}" style="text-anchor:{anchor}">{escape(labels[place])}</text>')
    described = "; ".join(f"{name}: {number(min(line))} to {number(max(line))}" for name, line in series.items())
    return svg(marks, (WIDE, _HEIGHT), title, described)


def _ticks(shares: Sequence[float], y: float, right: float) -> list[str]:
    anchors = {0.0: "start", 1.0: "end"}
    return [
        f'<text x="{_LEFT + share * (right - _LEFT):.1f}" y="{y:.1f}" '
        f'style="text-anchor:{anchors.get(share, "middle")}">{share:g}</text>'
        for share in shares
    ]
