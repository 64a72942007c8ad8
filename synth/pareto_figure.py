"""Scatter plots of area against delay, with the front of each group of circuits."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.figure import Figure

from synth.figures import GAIN, INK, LOSS, as_svg

Point = tuple[float, float]

_SIZE = (10.5, 4.6)  # inches
#: Delays shown, as a multiple of the shortest: slower circuits are hardly smaller.
_SLOWEST = 2.2


@dataclass(frozen=True)
class Group:
    """Circuits drawn alike. points: area in µm² and delay in ps."""

    name: str
    color: str
    marker: str
    points: tuple[Point, ...]


#: How groups of these names are drawn, those in the background first.
STYLES = {"other": ("#808080", "."), "baseline": (LOSS, "x"), "candidate": (GAIN, "+")}


def front(points: Iterable[Point]) -> list[Point]:
    """The points that no other one beats in area and delay, from the smallest to the fastest."""
    found: list[Point] = []
    for area, delay in sorted(points):
        if not found or delay < found[-1][1]:
            found.append((area, delay))
    return found


def pareto_chart(name: str, unit: str, groups: Sequence[Group]) -> str:
    """SVG of all groups and their fronts; ``name`` makes its ids unique. There must be a point."""
    return as_svg(name, lambda: draw_pareto(unit, groups))


def draw_pareto(unit: str, groups: Sequence[Group]) -> Figure:
    """The figure, in Matplotlib's current settings. unit: of the work."""
    figure = Figure(figsize=_SIZE)
    figure.patch.set_alpha(0)
    ax = figure.subplots()
    figure.subplots_adjust(left=0.08, right=0.98, top=0.97, bottom=0.2)
    slowest = _SLOWEST * min(delay for group in groups for _, delay in group.points)
    for group in groups:
        shown = [point for point in group.points if point[1] <= slowest]
        ax.scatter(
            [delay / 1000 for _, delay in shown],
            [area for area, _ in shown],
            s=14,
            marker=group.marker,
            color=group.color,
            alpha=0.35,
            linewidths=0.7,
        )
        line = [point for point in front(group.points) if point[1] <= slowest]
        ax.plot(*_steps(line), color=group.color, linewidth=1.5, label=f"{group.name}: front")
    ax.set_xlabel("critical path in ns, by itself")
    ax.set_ylabel(f"µm² for one {unit} a cycle")
    ax.patch.set_alpha(0)
    ax.tick_params(color=INK)
    ax.spines[["top", "right"]].set_visible(False)
    handles, names = ax.get_legend_handles_labels()
    figure.legend(handles, names, loc="lower center", ncols=len(groups), frameon=False)
    return figure


def _steps(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    """The front as a staircase, delays in ns and areas: between two points the larger area."""
    corners = [*points[:1]]
    for (area, delay), (larger, faster) in pairwise(points):
        corners += [(larger, delay), (larger, faster)] if larger > area else [(larger, faster)]
    return [delay / 1000 for _, delay in corners], [area for area, _ in corners]
