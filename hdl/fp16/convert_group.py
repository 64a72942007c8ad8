"""The group of conversions, element by element, and of those that pack two scalars."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib.data import View

from hdl.export import place
from hdl.fp16.convert import INTEGERS, Converter
from hdl.fp16.group import Group, Outcome
from hdl.fp16.instruction import (
    active_mask,
    box,
    elements,
    index_of,
    is_scalar,
    merge,
    merge_flags,
    unbox,
)
from hdl.fp16.operation import Number, Operation
from hdl.pipeline import hold
from hdl.staged import connect_unit
from hdl.wire import wire

PACKS = (Operation.PACK_A, Operation.PACK_B, Operation.PACK_C, Operation.PACK_D)


class ConvertGroup(Group):
    """CONVERT, CONVERT_HIGH and PACK_A to PACK_D.

    Converter e takes wide element e of operand a, or its lane e, or lane ``pairs + e`` with
    CONVERT_HIGH; the result goes to wide element e, to lane e, or to lane ``pairs + e`` with
    CONVERT_HIGH. Packing takes the first two converters, for wide element 0 of a and of b. There
    is one converter for each lane that a register has room for.
    """

    def execute(self, m: Module, platform: object, instruction: View, enables: Value) -> Outcome:
        p = self.parameters
        operation = _Decoded(m, index_of(instruction))
        from_wide = wire(m, instruction.source == Number.WIDE.value, "from_wide")
        to_wide = wire(m, instruction.destination == Number.WIDE.value, "to_wide")
        actives = self._actives(m, instruction, operation, from_wide, to_wide)

        results, flags = [], []
        for number, value in enumerate(self._values(instruction, operation, from_wide)):
            # The second one packs, even if the register has room for one wide element only.
            is_wide = number < max(2, p.pairs)
            unit = place(platform, Converter, p, self.depth, is_wide)
            connect_unit(
                m,
                f"converter_{number}",
                unit,
                self.depth,
                enables,
                value=value,
                source=instruction.source,
                destination=instruction.destination,
                mode=instruction.mode,
            )
            results.append(unit.result)
            flags.append(unit.flags.as_value())

        actives = hold(m, actives, enables, "actives")
        kept = hold(m, instruction.c, enables, "kept")
        boxed = hold(m, is_scalar(instruction) & instruction.mask[0], enables, "boxed")
        is_integer = hold(m, _is_integer(instruction.destination), enables, "is_integer")
        is_wide = hold(m, to_wide, enables, "is_wide")
        operation = _Decoded(m, hold(m, index_of(instruction), enables, "index"))

        width = p.lane.width
        wides = [result[: 2 * width] for result in results[: p.pairs]]
        wide = box(merge(wides, actives, kept), 2 * width, Const(1, 1), boxed)
        lanes, written = self._lanes(results, actives, operation)
        narrow = wire(m, merge(lanes, written, kept), "narrow")
        narrow = box(narrow, width, ~is_integer | narrow[width - 1], boxed)
        return Outcome(Mux(is_wide, wide, narrow), merge_flags(flags, actives))

    def _values(self, instruction: View, operation: "_Decoded", from_wide: Value) -> list[Value]:
        """What each converter converts."""
        p, a = self.parameters, instruction.a
        width, source, scalar = p.lane.width, instruction.source, is_scalar(instruction)
        is_alternate = source == Number.ALTERNATE.value
        nan = Mux(is_alternate, p.alternate.canonical_nan, p.lane.canonical_nan)
        lanes, wides = elements(a, width), elements(a, 2 * width)
        lanes[0] = unbox(a, width, nan, scalar & ~_is_integer(source))
        wides[0] = unbox(a, 2 * width, p.wide.canonical_nan, scalar)
        packed = instruction.b[: 2 * width]
        wides[1:2] = [Mux(operation.packs, packed, wides[1]) if p.pairs > 1 else packed]
        values = []
        for number, lane in enumerate(lanes):
            value = lane
            if number < p.pairs:
                value = Mux(operation.is_high, lanes[p.pairs + number], value)
            if number < len(wides):
                value = Mux(from_wide, wides[number], value)
            values.append(value)
        return values

    def _actives(
        self,
        m: Module,
        instruction: View,
        operation: "_Decoded",
        from_wide: Value,
        to_wide: Value,
    ) -> Value:
        """Of each converter, whether its result is wanted."""
        p = self.parameters
        mask = wire(m, active_mask(instruction), "mask")
        actives = []
        for number in range(p.positions):
            active = mask[number] & ~operation.packs
            if number >= p.lanes:
                active = Const(0, 1)
            elif number >= p.pairs:
                active = active & ~from_wide & ~to_wide
            if number < p.pairs:
                active = Mux(operation.is_high & ~to_wide, mask[p.pairs + number], active)
            if number < 2:
                packed = zip(operation.pack, mask[number::2], strict=False)
                active = active | reduce(or_, (is_pack & bit for is_pack, bit in packed))
            actives.append(active)
        return Cat(*actives)

    def _lanes(
        self, results: list[Value], actives: Value, operation: "_Decoded"
    ) -> tuple[list[Value], Value]:
        """New lanes, and which of them are written."""
        p = self.parameters
        lanes, written = [], []
        for number in range(p.positions):
            lane = results[number]
            active = actives[number] & ~operation.is_high & ~operation.packs
            pair, place_in_pair = divmod(number, 2)
            others = (
                [(operation.is_high, number - p.pairs)]
                if number in range(p.pairs, 2 * p.pairs)
                else []
            )
            if pair < min(p.pairs, len(PACKS)):
                others.append((operation.pack[pair], place_in_pair))
            for chosen, source in others:
                lane = Mux(chosen, results[source][: p.lane.width], lane[: p.lane.width])
                active = active | (chosen & actives[source])
            lanes.append(lane[: p.lane.width])
            written.append(active)
        return lanes, Cat(*written)


class _Decoded:
    """The operation: ``is_high`` (CONVERT_HIGH), ``packs`` and, bit by bit, ``pack`` which one."""

    def __init__(self, m: Module, index: Value) -> None:
        self.is_high = wire(m, index == Operation.CONVERT_HIGH.index, "is_high")
        self.pack = [wire(m, index == each.index, each.name.lower()) for each in PACKS]
        self.packs = wire(m, Cat(*self.pack).any(), "packs")


def _is_integer(number: Value) -> Value:
    return reduce(or_, (number == each.value for each in INTEGERS))
