"""Logarithm: ln(x + 1) of a whole number, as a float32."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib.wiring import In, Out

from hdl.compressor import DotDiagram
from hdl.export import place
from hdl.leading_zeros import count_leading_zeros
from hdl.pipeline import Bundle, Stage
from hdl.piper.logarithm_table import EXPONENTS, LogarithmTable
from hdl.piper.operator import WORD, Operator
from hdl.shift import shift_left
from hdl.staged import StagedUnit
from hdl.wire import wire

#: Of a float32.
FRACTION_BITS = 23
EXPONENT_BITS = 8
BIAS = 127

#: Bits of the whole part of a logarithm, which is below 32 ln 2 = 22.2; it is 0.69 or more, or 0.
WHOLE_BITS = 5
E_BITS = (EXPONENTS - 1).bit_length()
#: XOR delays of what is looked up; they only order the inputs of the trees.
LOOK_UP_ARRIVAL = 6

TABLE = LogarithmTable()


@dataclass(frozen=True)
class Logarithm(Operator):
    """float32 of ln(x + 1) of an int32 x: at most 1 ULP from the correctly rounded one.

    Exactly +0.0 at 0, and by definition for negative x.
    """

    ranks = 5

    def build(self, platform: object) -> Any:
        return place(platform, LogarithmUnit, self.ranks)


class LogarithmUnit(StagedUnit):
    """The circuit of ``Logarithm``, with the tables and the names of ``LogarithmTable``.

    y = x + 1 is normalised, its interval gives r, and the terms are added up. The result is cut off
    the sum, to which the table of exponents adds half a unit in the last place.
    """

    mapped_alone = True

    def __init__(self, depth: int = Logarithm.ranks, table: LogarithmTable = TABLE) -> None:
        self.table = table
        super().__init__(depth, value=In(WORD), result=Out(WORD))

    def stages(self, platform: object) -> Sequence[Stage]:
        def multiply(m: Module, inputs: Bundle) -> Bundle:
            return self._multiply(m, platform, inputs)

        def add(m: Module, inputs: Bundle) -> Bundle:
            return self._add(m, platform, inputs)

        return self._count, self._normalise, multiply, add, self._pack

    def _count(self, m: Module, inputs: Bundle) -> Bundle:
        """y, and e, the place of its first 1; a negative x has the e of 0."""
        x = inputs["value"]
        y = wire(m, x[:-1] + 1, "y")  # has WORD bits
        e = ~count_leading_zeros(m, y)[:E_BITS]  # y is not 0, or x is negative
        # If y is 2**31, all that counts is that its other bits are zero.
        return {"y": y[:-1], "e": e & (~x[-1]).replicate(E_BITS)}

    def _normalise(self, m: Module, inputs: Bundle) -> Bundle:
        """The first 1 goes out on top: the fraction of m begins with the number of its interval."""
        t = self.table
        kept = t.index_bits + t.rest_bits
        fraction, _, _ = shift_left(m, inputs["y"], ~inputs["e"], kept, Const(0, 1), "normal")
        index = wire(m, fraction[t.rest_bits :], "index")
        r = look_up(m, t.reciprocals, index, "r")
        return {"e": inputs["e"], "index": index, "d": fraction[: t.rest_bits], "r": r[:-1]}

    def _multiply(self, m: Module, platform: object, inputs: Bundle) -> Bundle:
        """z, to the last place of the sum.

        A tree and not ``*``, of which c is just one more row, and the lowest columns are left out.
        """
        t, d, e = self.table, inputs["d"], inputs["e"]
        r = Cat(inputs["r"], Const(1, 1))
        start = wire(m, look_up(m, t.starts, inputs["index"], "start"), "c")
        dots = DotDiagram(t.rest_bits + len(start) - t.dropped)
        for place_of, bit in enumerate(r):
            cut = max(0, t.dropped - place_of)
            row = wire(m, d[cut:] & bit.replicate(t.rest_bits - cut), f"row_{place_of}")
            dots.add_word(row, place_of + cut - t.dropped)
        # All bits of c above its last are its sign, which is as much as an inverted one and -1.
        column = t.rest_bits - t.dropped
        signed = Cat(start[:-1], ~start[-1])
        dots.add_word(signed, column, arrival=LOOK_UP_ARRIVAL)
        dots.add_constant((t.compensation >> t.dropped) - (1 << column + len(start) - 1))
        first, second = dots.rows(m, platform, "product")
        z = wire(m, (first + second)[: dots.width], "z")
        return {
            "z": z[t.product_bits - t.sum_bits - t.dropped :],
            "e": e,
            "index": inputs["index"],
        }

    def _add(self, m: Module, platform: object, inputs: Bundle) -> Bundle:
        """All terms but the square, which is looked up meanwhile."""
        t, z, e = self.table, inputs["z"], inputs["e"]
        dots = DotDiagram(WHOLE_BITS + t.sum_bits)
        dots.add_word(Cat(z[:-1], ~z[-1]))
        dots.add_constant(-(1 << len(z) - 1))
        offset = look_up(m, t.offsets, inputs["index"], "offset")
        dots.add_word(offset, arrival=LOOK_UP_ARRIVAL)
        dots.add_word(look_up(m, t.exponents, e, "exponent"), arrival=LOOK_UP_ARRIVAL)
        first, second = dots.rows(m, platform, "terms")
        step = z[t.sum_bits - t.square_bits :]
        bits = (len(t.squares) - 1).bit_length()
        size = wire(m, step[:bits] ^ step[-1].replicate(bits), "size")
        return {
            "terms": (first + second)[: dots.width],
            "square": look_up(m, t.squares, size, "square"),
            "is_positive": e.any(),
        }

    def _pack(self, m: Module, inputs: Bundle) -> Bundle:
        """The sum as a float32, without what is below its last place."""
        terms = inputs["terms"]
        total = wire(m, (terms - inputs["square"])[: len(terms)], "total")
        zeros = wire(m, count_leading_zeros(m, total[-WHOLE_BITS:]), "zeros")
        # The first 1 goes out on top, also if it is the first place behind the point.
        lowest = FRACTION_BITS + 1 - self.table.sum_bits
        places = Cat(Const(0, max(0, lowest)), total[:-1])
        fraction, _, _ = shift_left(m, places, zeros, FRACTION_BITS, Const(0, 1), "fraction")
        exponent = (BIAS + WHOLE_BITS - 1 - zeros)[:EXPONENT_BITS]
        is_positive = inputs["is_positive"].replicate(WORD - 1)
        return {"result": Cat(Cat(fraction, exponent) & is_positive, Const(0, 1))}


def look_up(m: Module, values: Sequence[int], index: Value, name: str) -> Value:
    """``values[index]``, in two's complement if any of them is negative.

    Multiplexers: of parts of the table that are equal, or each other's inverse, there is only one.
    An array would become a memory in synthesis. Behind the last value the last one is repeated.
    """
    nodes: dict[tuple[int, int], Value] = {}

    def node(column: int, level: int) -> Value:
        """Bit ``index[:level]`` of ``column``."""
        ones = (1 << (1 << level)) - 1
        if column in (0, ones):
            return Const(column & 1, 1)
        if (column ^ ones, level) in nodes:
            return ~nodes[column ^ ones, level]
        if (column, level) not in nodes:
            half = 1 << level - 1
            low, high = column & (1 << half) - 1, column >> half
            select = Mux(index[level - 1], node(high, level - 1), node(low, level - 1))
            chosen = node(low, level - 1) if low == high else select
            nodes[column, level] = wire(m, chosen, f"{name}_{len(nodes)}")
        return nodes[column, level]

    is_signed = min(values) < 0
    width = max(max(values), ~min(values)).bit_length() + is_signed
    rows = [*values, *[values[-1]] * ((1 << len(index)) - len(values))]
    columns = [sum((row >> bit & 1) << at for at, row in enumerate(rows)) for bit in range(width)]
    return wire(m, Cat(*(node(column, len(index)) for column in columns)), name)
