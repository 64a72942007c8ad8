"""Compressor tree: adds many bits of different weights into one binary number."""

import heapq
from dataclasses import dataclass
from itertools import count

from amaranth.hdl import Cat, Const, Module, Signal, Value, ValueLike

from hdl.adder import FullAdder
from hdl.export import place

#: Delays of an adder in XOR gates; they only order the inputs of the tree.
SUM_DELAY = 2
CARRY_DELAY = 1


@dataclass(frozen=True)
class _Bit:
    value: Value
    arrival: int


class DotDiagram:
    """Bits waiting to be added, one column for each power of two, modulo ``2**width``.

    Bits of weight ``2**width`` and above are dropped: that is the modular reduction.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._columns: list[list[_Bit]] = [[] for _ in range(width)]
        self._constant = 0

    def add_bit(self, bit: ValueLike, column: int, *, arrival: int = 0) -> None:
        """Add one bit of weight ``2**column`` that settles ``arrival`` XOR delays after a clock."""
        if column < self.width:
            self._columns[column].append(_Bit(Value.cast(bit), arrival))

    def add_word(self, word: Value, column: int = 0, *, arrival: int = 0) -> None:
        """Add an unsigned word whose bit 0 has weight ``2**column``."""
        for offset, bit in enumerate(word):
            self.add_bit(bit, column + offset, arrival=arrival)

    def add_constant(self, constant: int) -> None:
        """Add a constant, positive or negative."""
        self._constant = (self._constant + constant) % (1 << self.width)

    def sum(self, m: Module, platform: object, name: str = "sum") -> Value:
        """Build the adders in ``m`` and return the sum, ``width`` bits.

        Each column is reduced to a single bit by full adders that take its three earliest bits
        first, so that the carry from the column below, which arrives last, passes through one
        full adder. That is the smallest number of full adders, one for each bit removed, with
        the carry-propagate adder among them.
        """
        columns = self._reduce(m, platform, 1, name)
        return Cat(*(bits[0] if bits else Const(0, 1) for bits in columns))

    def rows(self, m: Module, platform: object, name: str = "rows") -> tuple[Value, Value]:
        """Build the adders of the tree alone: two words whose sum it is, modulo ``2**width``.

        For a carry-propagate adder of another kind, or registers before it.
        """
        columns = self._reduce(m, platform, 2, name)
        padded = [[*bits, Const(0, 1), Const(0, 1)] for bits in columns]
        return Cat(*(bits[0] for bits in padded)), Cat(*(bits[1] for bits in padded))

    def _reduce(self, m: Module, platform: object, height: int, name: str) -> list[list[Value]]:
        """Add within each column until no more than ``height`` bits are left in it."""
        columns = [list(column) for column in self._columns]
        for column in range(self.width):
            if self._constant >> column & 1:
                columns[column].append(_Bit(Const(1), 0))
        result: list[list[Value]] = []
        for column, bits in enumerate(columns):
            adders = _ColumnAdders(m, platform, f"{name}_{column}")
            left, carries = adders.reduce(bits, height)
            result.append(left)
            if column + 1 < self.width:
                columns[column + 1] += carries
        return result


class _ColumnAdders:
    def __init__(self, m: Module, platform: object, name: str) -> None:
        self._m = m
        self._platform = platform
        self._name = name

    def reduce(self, bits: list[_Bit], height: int) -> tuple[list[Value], list[_Bit]]:
        """Bits of the column's weight, ``height`` at most, and carries into the next column."""
        order = count()
        queue = [(bit.arrival, next(order), bit.value) for bit in bits]
        heapq.heapify(queue)
        carries: list[_Bit] = []
        while len(queue) > height:
            excess = len(queue) - height
            taken = [heapq.heappop(queue) for _ in range(min(3, excess + 1))]
            arrival = max(time for time, _, _ in taken)
            index = next(order)
            total, carry = self._add([bit for _, _, bit in taken], f"{self._name}_{index}")
            heapq.heappush(queue, (arrival + SUM_DELAY, index, total))
            carries.append(_Bit(carry, arrival + CARRY_DELAY))
        return [bit for _, _, bit in sorted(queue, key=lambda each: each[:2])], carries

    def _add(self, bits: list[Value], name: str) -> tuple[Value, Value]:
        variables = [bit for bit in bits if not isinstance(bit, Const)]
        if len(variables) == 3:
            return self._full_adder(*variables, name=name)
        total = Signal(name=f"{name}_sum")
        carry = Signal(name=f"{name}_carry")
        a, b = (*variables, Const(1))[:2]
        with_one = len(bits) == 3
        self._m.d.comb += [
            total.eq(~(a ^ b) if with_one else a ^ b),
            carry.eq(a | b if with_one else a & b),
        ]
        return total, carry

    def _full_adder(self, a: Value, b: Value, c: Value, *, name: str) -> tuple[Value, Value]:
        adder = place(self._platform, FullAdder)
        self._m.submodules[name] = adder
        self._m.d.comb += [adder.a.eq(a), adder.b.eq(b), adder.c.eq(c)]
        return adder.sum, adder.carry
