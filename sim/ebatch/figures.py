"""Figures of the policy experiment as SVG: for a page, and a file of their own."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

#: Drawn in this colour, things take that of the text around the figure, light or dark.
_INK = "#010203"
#: Told apart by colour-blind people (Okabe and Ito), and by markers and dashes in print.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_MARKERS = "osD^vPX*"
_DASHES = ("-", "--", "-.", ":")
_BUBBLE = "#808080"
_PALE = 0.3
_WIDTH = 10.5  # inches


@dataclass(frozen=True)
class Curve:
    """Latencies of a policy, in mean services: offered load, median, 99th percentile."""

    name: str
    points: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Span:
    """A lane that does the same from ``start`` to ``end``: a sequence's number, None: a bubble."""

    lane: int
    start: float
    end: float
    sequence: int | None


@dataclass(frozen=True)
class Lanes:
    """What the lanes of an engine do under a policy. blocks: the times they begin at."""

    name: str
    lanes: int
    spans: tuple[Span, ...]
    blocks: tuple[float, ...]


def latency(name: str, curves: Sequence[Curve]) -> str:
    """Latency against load, one line a policy, up to the last load it can keep up with.

    ``name`` makes ids unique within a page. The same arguments give the same text.
    """
    return _svg(name, lambda: _draw_latency(curves))


def lanes(name: str, panels: Sequence[Lanes], unit: str) -> str:
    """Lanes over time, a panel for each policy, all with the same time axis, in ``unit``.

    Neighbours in a lane have different colours; a bubble is pale, and nothing is drawn where no
    block is at work. ``name``: as above.
    """
    return _svg(name, lambda: _draw_lanes(panels, unit))


def _svg(name: str, draw: Callable[[], Figure]) -> str:
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "svg.hashsalt": name,
                "svg.fonttype": "none",
                "font.size": 9.0,
                "text.color": _INK,
                "xtick.color": _INK,
                "ytick.color": _INK,
                "axes.edgecolor": _INK,
                "axes.labelcolor": _INK,
            }
        )
        figure = draw()
        figure.patch.set_alpha(0)
        output = StringIO()
        FigureCanvasSVG(figure).print_svg(output, metadata={"Date": None})
    return _embedded(output.getvalue(), name)


def _draw_latency(curves: Sequence[Curve]) -> Figure:
    figure = Figure(figsize=(_WIDTH, 4.4))
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    figure.subplots_adjust(left=0.07, right=0.985, top=0.93, bottom=0.26, wspace=0.06)
    for column, (ax, title) in enumerate(zip(panels, ("median", "99th percentile"), strict=True)):
        for at, curve in enumerate(curves):
            ax.plot(
                [load for load, *_ in curve.points],
                [values[column] for _, *values in curve.points],
                color=(*_COLORS, "#808080", _INK)[at % 8],
                marker=_MARKERS[at % len(_MARKERS)],
                linestyle=_DASHES[at % len(_DASHES)],
                markersize=5,
                linewidth=1.4,
                label=curve.name,
            )
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.set_title(title, fontsize=9.5)
        ax.set_xlabel("offered load, as a fraction of what the lanes can do")
        ax.grid(axis="y", color=_INK, alpha=0.15, linewidth=0.6)
        _bare(ax)
    panels[0].set_ylabel("latency, in mean services")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="lower center", ncols=4, frameon=False)
    return figure


def _draw_lanes(panels: Sequence[Lanes], unit: str) -> Figure:
    rows = sum(panel.lanes for panel in panels)
    height = 0.11 * rows + 0.42 * len(panels) + 0.75
    figure = Figure(figsize=(_WIDTH, height))
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    figure.subplots_adjust(
        left=0.06, right=0.985, top=1 - 0.3 / height, bottom=0.78 / height, hspace=0.5
    )
    end = max(span.end for panel in panels for span in panel.spans)
    for ax, panel in zip(axes, panels, strict=True):
        _draw_panel(ax, panel)
        ax.set_xlim(0, end)
    axes[-1].set_xlabel(f"time, in {unit}")
    handles: list[Any] = [
        tuple(Patch(facecolor=color) for color in _COLORS[:3]),
        Patch(facecolor=_BUBBLE, alpha=_PALE, linewidth=0),
    ]
    figure.legend(
        handles,
        ["a sequence (neighbours in different colours)", "a bubble: the lane has nothing to do"],
        handler_map={tuple: HandlerTuple(ndivide=None)},
        loc="lower center",
        ncols=2,
        frameon=False,
    )
    return figure


def _draw_panel(ax: Axes, panel: Lanes) -> None:
    for color, alpha, spans in _by_color(panel.spans):
        corners = [
            [(s.start, s.lane), (s.end, s.lane), (s.end, s.lane + 0.86), (s.start, s.lane + 0.86)]
            for s in spans
        ]
        ax.add_collection(PolyCollection(corners, facecolors=color, alpha=alpha, linewidths=0))
    for block in panel.blocks:
        ax.axvline(block, color=_INK, linewidth=0.4, alpha=0.45)
    done = max(span.end for span in panel.spans if span.sequence is not None)
    ax.axvline(done, color=_INK, linewidth=1.2)
    ax.set_title(panel.name, fontsize=9.5, loc="left")
    ax.set_ylim(panel.lanes, -0.2)
    ax.set_yticks([0.43, panel.lanes - 0.57], ["lane 0", f"lane {panel.lanes - 1}"])
    ax.tick_params(axis="y", length=0)
    _bare(ax)


def _by_color(spans: Sequence[Span]) -> list[tuple[str, float, list[Span]]]:
    groups: dict[tuple[str, float], list[Span]] = {}
    places: dict[int, int] = {}  # of a sequence in its lane
    seen: dict[int, int] = {}
    for span in sorted(spans, key=lambda span: span.start):
        look = (_BUBBLE, _PALE)
        if span.sequence is not None:
            if span.sequence not in places:
                places[span.sequence] = seen[span.lane] = seen.get(span.lane, span.lane - 1) + 1
            look = (_COLORS[places[span.sequence] % len(_COLORS)], 1.0)
        groups.setdefault(look, []).append(span)
    return [(color, alpha, group) for (color, alpha), group in groups.items()]


def spans(
    lane_count: int, blocks: Sequence[tuple[float, float, Sequence[Sequence[int | None]]]]
) -> tuple[Span, ...]:
    """Of blocks: start, end, and for each step the sequence in each lane.

    A block is drawn over all the time it takes, so its steps are drawn as long as one takes of all
    layers. Steps of a sequence that follow each other in a block are one span.
    """
    found = []
    for start, end, steps in blocks:
        width = (end - start) / len(steps)
        for lane in range(lane_count):
            row = [step[lane] for step in steps]
            changes = [at for at, (a, b) in enumerate(pairwise(row), 1) if a != b]
            for first, behind in pairwise([0, *changes, len(row)]):
                found.append(Span(lane, start + first * width, start + behind * width, row[first]))
    return tuple(found)


def _bare(ax: Axes) -> None:
    ax.patch.set_alpha(0)
    ax.spines[["top", "right"]].set_visible(False)


def _embedded(svg: str, name: str) -> str:
    """Matplotlib's file as an element of a page, and a file that browsers show."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    svg = re.sub(
        r'<svg[^>]*?viewBox="([^"]*)"[^>]*>',
        r'<svg xmlns="http://www.w3.org/2000/svg" viewBox="\1" role="img">',
        svg,
    )
    svg = re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", svg)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{name}-", svg)
    return svg.replace("xlink:href", "href").replace(_INK, "currentColor")
