"""The FP16 SIMD unit: one stream of instructions in, one of results out."""

from dataclasses import replace
from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.data import StructLayout, View
from amaranth.lib.wiring import Component, In, Out, Signature

from hdl.fp16.arbiter import Arbiter
from hdl.fp16.compare_group import CompareGroup
from hdl.fp16.convert_group import ConvertGroup
from hdl.fp16.decode import is_reserved
from hdl.fp16.divide_group import DivideGroup
from hdl.fp16.dot_group import DotGroup
from hdl.fp16.fma_group import FMAGroup
from hdl.fp16.instruction import instruction_layout, result_layout
from hdl.fp16.move_group import MoveGroup
from hdl.fp16.operation import INDEX_BITS, Form, Group
from hdl.fp16.parameters import Parameters
from hdl.fp16.reduce_group import ReduceGroup
from hdl.fp16.skid import Skid
from hdl.wire import wire

#: Bits of the number that says which of two instructions inside is older. Instructions inside: up
#: to four in each of six groups, and a division that as many others may follow as it has cycles.
ORDER_BITS = 7
STATUS_LAYOUT = StructLayout({"busy": 1, "input_stalled": 1, "output_stalled": 1, "error_count": 8})


class SIMDUnit(Component):
    """Executes IEEE 754 arithmetic on vectors of lanes, one instruction a cycle.

    Ports
        i: stream of instructions, o: stream of results (``instruction_layout``,
        ``result_layout``). Results of one group of operations stay in order; groups of different
        depths may overtake each other, and the tag tells which instruction a result is of.
        flush: as long as it is high, nothing is taken, nothing offered, and all that is inside
        is dropped.
        status: ``busy`` (an instruction is inside), ``input_stalled``, ``output_stalled``;
        ``error_count``, results with an error that were taken, saturating at 255.

    Latency: the depth of the group in cycles (0: combinational), more if results of two groups
    meet. Throughput: one instruction a cycle in any order, except divisions and square roots,
    of which one takes ``DivideGroup.cycles``.

    An instruction that is reserved (``decode.is_reserved``) returns its tag and ``error``, with
    result and flags 0; it does nothing else. A reset, or ``flush``, drops what is inside.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        super().__init__(
            Signature(
                {
                    "i": In(stream.Signature(instruction_layout(parameters))),
                    "o": Out(stream.Signature(result_layout(parameters))),
                    "flush": In(1),
                    "status": Out(STATUS_LAYOUT),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = replace(self.parameters, order_bits=ORDER_BITS)
        groups = {
            Group.FMA: FMAGroup(p, p.depths.fma),
            Group.COMPARE: CompareGroup(p, p.depths.compare),
            Group.CONVERT: ConvertGroup(p, p.depths.convert),
            Group.DIVIDE: DivideGroup(p),
            Group.DOT: DotGroup(p, p.depths.dot),
            Group.REDUCE: ReduceGroup(p, p.depths.reduce),
            Group.MOVE: MoveGroup(p, p.depths.move),
        }
        m.submodules.arbiter = arbiter = Arbiter(result_layout(p), len(groups), ORDER_BITS)
        reserved = is_reserved(m, self.i.payload, p)
        instruction = self._prepare(m, p)
        wanted = self.i.payload.operation[INDEX_BITS:]
        target = Signal(Group)
        m.d.comb += groups[Group.MOVE].error.eq(reserved)
        with m.If(reserved):
            m.d.comb += target.eq(Group.MOVE)
        with m.Elif(wanted == Group.SIGN.value):
            m.d.comb += target.eq(Group.COMPARE)
        with m.Else():
            m.d.comb += target.eq(wanted)
        busy = [component.busy for component in groups.values()]
        for number, (group, component) in enumerate(groups.items()):
            m.submodules[group.name.lower()] = component
            chosen = wire(m, (target == group) & ~self.flush, f"chosen_{group.name.lower()}")
            valid = wire(m, self.i.valid & chosen, f"valid_{group.name.lower()}")
            payload = instruction.as_value()
            m.d.comb += [
                # Only the group that works sees operands: the others would toggle for nothing.
                component.i.payload.eq(payload & valid.replicate(len(payload))),
                component.i.valid.eq(valid),
                component.flush.eq(self.flush),
            ]
            with m.If(chosen):
                m.d.comb += self.i.ready.eq(component.i.ready)
            results = self._queue(m, group, component, busy)
            wiring.connect(m, results, getattr(arbiter, f"i_{number}"))
        m.d.comb += [
            *(
                self.o.payload[name].eq(arbiter.o.payload[name])
                for name, _ in result_layout(self.parameters)
            ),
            self.o.valid.eq(arbiter.o.valid & ~self.flush),
            arbiter.o.ready.eq(self.o.ready & ~self.flush),
        ]
        self._report(m, Cat(*busy).any())
        return m

    def _queue(self, m: Module, group: Group, component: Any, busy: list[Value]) -> Any:
        """The group's results, with room for those that deeper groups may keep waiting.

        Oldest first, a result leaves at the latest as many cycles after its instruction as the
        deepest group has ranks: all that came in between finds room, and no cycle is lost.
        """
        results = component.o
        deepest = max(vars(self.parameters.depths).values())
        for place in range(deepest - component.depth):
            skid = Skid(result_layout(component.parameters))
            m.submodules[f"{group.name.lower()}_skid_{place}"] = skid
            wiring.connect(m, results, skid.i)
            m.d.comb += skid.flush.eq(self.flush)
            busy.append(skid.busy)
            results = skid.o
        return results

    def _prepare(self, m: Module, p: Parameters) -> View:
        """The instruction as groups get it: numbered above its tag, operand b replicated."""
        given = self.i.payload
        instruction = Signal(instruction_layout(p))
        order = Signal(ORDER_BITS)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += order.eq(order + 1)
        for name, _ in instruction_layout(p):
            m.d.comb += instruction[name].eq(given[name])
        m.d.comb += instruction.tag.eq(Cat(given.tag, order))
        # Conversions take wide elements of b.
        converts = given.operation[INDEX_BITS:] == Group.CONVERT.value
        with m.If((given.form == Form.REPLICATED.value) & ~converts):
            m.d.comb += instruction.b.eq(given.b[: p.lane.width].replicate(p.positions))
        return instruction

    def _report(self, m: Module, busy: Value) -> None:
        errors = Signal(STATUS_LAYOUT["error_count"].width)
        with m.If(self.o.valid & self.o.ready & self.o.payload.error & ~errors.all()):
            m.d.sync += errors.eq(errors + 1)
        m.d.comb += [
            self.status.busy.eq(busy),
            self.status.input_stalled.eq(self.i.valid & ~self.i.ready),
            self.status.output_stalled.eq(self.o.valid & ~self.o.ready),
            self.status.error_count.eq(errors),
        ]
