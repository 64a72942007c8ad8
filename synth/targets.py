"""What a circuit is mapped for: to be as small as possible, or to reach a clock."""

from dataclasses import dataclass

#: Clock periods in ps that a well-mapped 32-bit multiply-accumulate reaches in each process.
PERIODS = {"sky130hd": 4500.0, "sg13g2": 3500.0}
DEFAULT_PERIOD = 5000.0


@dataclass(frozen=True)
class Target:
    """``period_ps`` is None for the smallest circuit, whatever its delay."""

    name: str
    period_ps: float | None = None

    @property
    def description(self) -> str:
        if self.period_ps is None:
            return "smallest area"
        return f"smallest area that reaches {self.period_ps / 1000:g} ns"

    def within(self, share: float) -> "Target":
        """The same target with only ``share`` of the period."""
        return self if self.period_ps is None else Target(self.name, share * self.period_ps)


def targets(process: str, period_ps: float | None = None) -> tuple[Target, Target]:
    """Both ends of the trade-off between area and clock.

    ``period_ps``: the clock to reach; without it, the one stated above for the process.
    """
    return Target("area"), Target("clock", period_ps or PERIODS.get(process, DEFAULT_PERIOD))
