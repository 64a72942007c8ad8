"""Moves of whole lanes, and the answers to reserved instructions."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.data import View
from amaranth.lib.wiring import In

from hdl.fp16.group import Group, Outcome
from hdl.fp16.instruction import active_mask, elements, index_of, merge
from hdl.fp16.operation import Operation
from hdl.fp16.parameters import Parameters
from hdl.pipeline import hold
from hdl.wire import wire


class MoveGroup(Group):
    """BROADCAST, SHUFFLE, INSERT and EXTRACT: bits only, whatever they mean.

    Lanes are chosen by unsigned numbers in operand b. A number beyond the register reads zero,
    and inserts nothing.

    ``error``, beside the instruction: it is reserved; it only returns its tag and the error.
    """

    def __init__(self, parameters: Parameters, depth: int) -> None:
        super().__init__(parameters, depth, error=In(1))

    def execute(self, m: Module, platform: object, instruction: View, enables: Value) -> Outcome:
        p = self.parameters
        width, count = p.lane.width, p.positions
        a = elements(instruction.a, width)
        numbers = elements(instruction.b, width)
        kept, mask = instruction.c, active_mask(instruction)
        index = index_of(instruction)

        def lane_of_a(number: Value, name: str) -> Value:
            chosen = wire(m, Array(a)[number[: (count - 1).bit_length()]], name)
            return Mux(number < count, chosen, Const(0, width))

        first = wire(m, lane_of_a(numbers[0], "chosen_first"), "first")
        shuffled = [first] + [
            wire(m, lane_of_a(number, f"chosen_{lane}"), f"shuffled_{lane}")
            for lane, number in enumerate(numbers[1:], start=1)
        ]
        place = Cat(*(numbers[0] == lane for lane in range(count)))
        extracted = Cat(first, Const(-1, width * (count - 1)))
        result = Signal(p.register_bits)
        with m.Switch(index):
            with m.Case(Operation.BROADCAST.index):
                m.d.comb += result.eq(merge([first] * count, mask, kept))
            with m.Case(Operation.SHUFFLE.index):
                m.d.comb += result.eq(merge(shuffled, mask, kept))
            with m.Case(Operation.INSERT.index):
                m.d.comb += result.eq(merge([a[0]] * count, mask & place, kept))
            with m.Default():
                m.d.comb += result.eq(Mux(mask[0], extracted, kept))
        valid_result = result & (~self.error).replicate(len(result))
        return Outcome(
            hold(m, valid_result, enables, "moved"), 0, hold(m, self.error, enables, "error")
        )
