"""Figures as SVG that is part of a page, and bar charts: no file, no font, no script."""

import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import groupby, pairwise

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import Patch

GAIN, LOSS = "#0072b2", "#d55e00"  # told apart by colour-blind people, and hatched in print
#: Drawn in this colour, things take that of the text around the figure, light or dark.
INK = "#010203"
_PALE = 0.4
_WIDTH, _BAR, _GAP = 10.5, 0.2, 0.12  # inches
_TOP, _BOTTOM, _RIGHT = 0.4, 0.85, 0.15
_NAME_LINE = 30
_LINE = 0.16  # inches
_CHARACTER = 0.078  # inches, at the size of a name


@dataclass(frozen=True)
class Panel:
    """One chart of a figure. ``less_is_better``: whether a negative change is a gain."""

    title: str
    less_is_better: bool


@dataclass(frozen=True)
class Bar:
    """Changes in % of one comparison for one target, one for each panel; None leaves it out.

    Bars of the same ``group`` that follow each other are drawn together. A change below
    ``noise`` (in %) is drawn pale.
    """

    group: str
    target: str
    changes: tuple[float | None, ...]
    noise: float = 0.0


def bar_chart(name: str, panels: Sequence[Panel], bars: Sequence[Bar]) -> str:
    """SVG of the panels side by side; ``name`` makes its ids unique within a page.

    The same arguments give the same text.
    """
    return as_svg(name, lambda: draw(panels, bars))


def as_svg(name: str, make: Callable[[], Figure]) -> str:
    """The figure that ``make`` draws, as part of a page; ``name`` makes its ids unique there."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "svg.hashsalt": name,
                "svg.fonttype": "none",
                "font.size": 9.0,
                "hatch.linewidth": 0.8,
                "text.color": INK,
                "xtick.color": INK,
                "axes.edgecolor": INK,
                "axes.labelcolor": INK,
            }
        )
        output = StringIO()
        FigureCanvasSVG(make()).print_svg(output, metadata={"Date": None})
    return _embedded(output.getvalue(), name)


def draw(panels: Sequence[Panel], bars: Sequence[Bar]) -> Figure:
    """The figure, in Matplotlib's current settings. There must be a panel and a bar."""
    places, groups = _places(bars)
    longest = max(len(line) for name, _ in groups for line in name.split("\n"))
    targets = max(len(bar.target) for bar in bars) * _CHARACTER + 0.15
    left = longest * _CHARACTER + targets + 0.15
    depth = places[-1] + _BAR
    height = depth + _TOP + _BOTTOM
    figure = Figure(figsize=(_WIDTH, height))
    figure.patch.set_alpha(0)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False, width_ratios=_widths(panels))
    figure.subplots_adjust(
        left=left / _WIDTH,
        right=1 - _RIGHT / _WIDTH,
        top=1 - _TOP / height,
        bottom=_BOTTOM / height,
        wspace=0.1,
    )
    for column, (panel, ax) in enumerate(zip(panels, axes[0], strict=True)):
        own = [bar.changes[column] for bar in bars]
        _draw_panel(ax, panel, zip(places, own, [bar.noise for bar in bars], strict=True))
        for (_, y), (_, following) in pairwise(groups):
            ax.axhline((y + following) / 2, color=INK, linewidth=0.4, alpha=0.2)
    first = axes[0][0]
    first.set_ylim(depth, -_BAR)
    first.set_yticks(places, [""] * len(places))
    beside = first.get_yaxis_transform()
    inches = first.get_position().width * _WIDTH
    for y, bar in zip(places, bars, strict=True):
        _write(first, -0.08 / inches, y, bar.target, transform=beside, ha="right", alpha=0.75)
    for name, y in groups:
        _write(first, -targets / inches, y, name, transform=beside, ha="right")
    kinds = {"gain": (GAIN, "", 1.0), "loss": (LOSS, "////", 1.0)}
    kinds["smaller than the mapping's spread"] = ("#808080", "", _PALE)
    figure.legend(
        [
            Patch(facecolor=color, hatch=hatch, alpha=alpha, edgecolor="white", linewidth=0)
            for color, hatch, alpha in kinds.values()
        ],
        list(kinds),
        loc="lower center",
        ncols=len(kinds),
        frameon=False,
    )
    return figure


def _widths(panels: Sequence[Panel]) -> list[int]:
    """The first panel is what the figure is about."""
    return [3, *[2] * (len(panels) - 1)]


def _places(bars: Sequence[Bar]) -> tuple[list[float], list[tuple[str, float]]]:
    """Where each bar is, in inches from the top, and the wrapped name and middle of each group."""
    places: list[float] = []
    groups: list[tuple[str, float]] = []
    y = 0.0
    for group, members in groupby(bars, key=lambda bar: bar.group):
        name = "\n".join(textwrap.wrap(group, _NAME_LINE, break_on_hyphens=False))
        own = len(list(members)) * _BAR
        spare = max(0.0, (name.count("\n") + 1) * _LINE - own) / 2  # for names of many lines
        y += spare
        places += [y + index * _BAR for index in range(round(own / _BAR))]
        groups.append((name, y + (own - _BAR) / 2))
        y += own + spare + _GAP
    return places, groups


def _draw_panel(ax: Axes, panel: Panel, bars: Iterable[tuple[float, float | None, float]]) -> None:
    """bars: place, change and noise of each."""
    shown = [(y, change, noise) for y, change, noise in bars if change is not None]
    changes = [0.0, *(change for _, change, _ in shown)]
    room = 0.3 * max(max(changes) - min(changes), 5.0)  # for the values
    ax.set_xlim(
        min(changes) - (room if min(changes) < 0 else 0.2 * room),
        max(changes) + (room if max(changes) > 0 else 0.2 * room),
    )
    for y, change, noise in shown:
        gain = (change < 0) == panel.less_is_better
        ax.barh(
            y,
            change,
            height=0.85 * _BAR,
            color=GAIN if gain else LOSS,
            hatch="" if gain else "////",
            edgecolor="white",
            linewidth=0,
            alpha=_PALE if abs(change) < noise else 1.0,
        )
        side = "left" if change >= 0 else "right"
        _write(ax, change, y, f"\u2009{_signed(change)}\u2009", ha=side, fontsize=8.5)
    ax.axvline(0, color=INK, linewidth=1.0)
    ax.set_title(panel.title, fontsize=9.5)
    ax.set_xlabel("candidate over baseline, change in %")
    ax.patch.set_alpha(0)
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "left", "right"]].set_visible(False)


def _signed(change: float) -> str:
    rounded = round(change, 1) + 0.0
    return f"{rounded:+.1f}".replace("-", "−") if rounded else "0.0"


def _write(ax: Axes, x: float, y: float, text: str, **style: object) -> None:
    ax.text(x, y, text, va="center", parse_math=False, **style)  # type: ignore[arg-type]


def _embedded(svg: str, name: str) -> str:
    """Matplotlib's file as an element of a page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<svg[^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" role="img">', svg)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{name}-", svg)
    return svg.replace("xlink:href", "href").replace(INK, "currentColor")
