"""What a circuit is mapped for: to be small, to reach a clock, or to do most for its area."""

from collections.abc import Iterable
from dataclasses import dataclass

from hdl.datapath import Configuration

#: Clock periods in ps that a well-mapped 32-bit multiply-accumulate reaches in each process.
PERIODS = {"sky130hd": 4500.0, "sg13g2": 3500.0}
DEFAULT_PERIOD = 5000.0

#: The faster clock period that is told too, over the one to reach.
FASTER = 0.62

AREA, CLOCK, EFFICIENCY = "area", "clock", "efficiency"


@dataclass(frozen=True)
class Target:
    """``period_ps`` is None if any delay will do.

    With the name ``efficiency`` it is then the least area times critical path that is sought, else
    the least area.
    """

    name: str
    period_ps: float | None = None

    @property
    def efficient(self) -> bool:
        """Whether each circuit is to run at the clock at which it delivers most for its area."""
        return self.name == EFFICIENCY

    @property
    def description(self) -> str:
        if self.efficient:
            return "smallest area x critical path"
        if self.period_ps is None:
            return "smallest area"
        return f"smallest area that reaches {self.period_ps / 1000:g} ns"

    def within(self, share: float) -> "Target":
        """The same target with only ``share`` of the period."""
        return self if self.period_ps is None else Target(self.name, share * self.period_ps)


def clock(
    process: str, period_ps: float | None = None, configuration: Configuration | None = None
) -> float:
    """The clock period in ps to reach.

    ``period_ps`` comes first, then what the configuration says, then what is stated above.
    """
    own = configuration.clock_ps if configuration else {}
    return period_ps or own.get(process) or PERIODS.get(process, DEFAULT_PERIOD)


def told(goals: Iterable[Target], period_ps: float) -> tuple[float, ...]:
    """Clock periods in ps that ABC's scripts are told, one after the other, for all of ``goals``.

    ``period_ps``: the clock to reach. If efficiency is a goal, a second one: scripts that know a
    slow clock only may make circuits too slow to be worth their area.
    """
    efficient = any(goal.efficient for goal in goals)
    return (period_ps, FASTER * period_ps) if efficient else (period_ps,)


def targets(
    process: str, period_ps: float | None = None, configuration: Configuration | None = None
) -> tuple[Target, ...]:
    """What a configuration is to be mapped for: without one, area and clock.

    Raises ValueError for a target that there is not.
    """
    names = configuration.targets if configuration else (AREA, CLOCK)
    made = {
        AREA: Target(AREA),
        CLOCK: Target(CLOCK, clock(process, period_ps, configuration)),
        EFFICIENCY: Target(EFFICIENCY),
    }
    if unknown := set(names) - made.keys():
        raise ValueError(f"no target is named {sorted(unknown)}; there are {', '.join(made)}")
    return tuple(made[name] for name in names)
