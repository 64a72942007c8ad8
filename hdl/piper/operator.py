"""What a column's value passes through on its way from text to word."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

#: Bits of every value between operators, and of a word of the output.
WORD = 32


class Operator(ABC):
    """One step of a column, described by a frozen dataclass.

    Its circuit is a ``StagedUnit`` of ``ranks`` ranks of registers: ports ``value`` in and
    ``result`` out, ``WORD`` bits each, and one input for each of ``settings``.
    """

    ranks: ClassVar[int]
    """Ranks of registers: its latency in cycles; one value a cycle."""
    settings: ClassVar[tuple[str, ...]] = ()
    """Run-time settings that the circuit reads: names among those of ``Settings``."""

    @abstractmethod
    def build(self, platform: object) -> Any:
        """The circuit, placed (see ``hdl.export.place``)."""
