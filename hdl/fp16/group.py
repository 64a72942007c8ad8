"""What the groups of operations have in common: a stream of instructions in, of results out."""

from abc import abstractmethod
from dataclasses import dataclass

from amaranth.hdl import Module, Value
from amaranth.lib import stream
from amaranth.lib.data import View
from amaranth.lib.wiring import Component, In, Member, Out, Signature

from hdl.fp16.instruction import instruction_layout, result_layout
from hdl.fp16.parameters import Parameters
from hdl.pipeline import Handshake, hold


@dataclass(frozen=True)
class Outcome:
    """A result register and its flags."""

    result: Value
    flags: Value | int = 0
    error: Value | int = 0


class Group(Component):
    """Executes the instructions of one group, in order, ``depth`` cycles each, one a cycle.

    Ports
        i: stream of instructions, all of this group and none of them reserved; with form
        REPLICATED operand b already has its lane 0 in every lane. o: stream of results.
        flush: drops all that is inside. busy: something is inside.
    """

    def __init__(self, parameters: Parameters, depth: int, **more_ports: Member) -> None:
        self.parameters = parameters
        self.depth = depth
        super().__init__(
            Signature(
                {
                    "i": In(stream.Signature(instruction_layout(parameters))),
                    "o": Out(stream.Signature(result_layout(parameters))),
                    "flush": In(1),
                    "busy": Out(1),
                    **more_ports,
                }
            )
        )

    @abstractmethod
    def execute(self, m: Module, platform: object, instruction: View, enables: Value) -> Outcome:
        """The outcome, behind a rank of registers for each bit of ``enables``."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        handshake = Handshake(m, self.depth, self.i.valid, self.o.ready, self.flush, "rank")
        m.d.comb += [
            self.i.ready.eq(handshake.ready),
            self.o.valid.eq(handshake.valid),
            self.busy.eq(handshake.busy),
        ]
        outcome = self.execute(m, platform, self.i.payload, handshake.enables)
        m.d.comb += [
            self.o.payload.tag.eq(hold(m, self.i.payload.tag, handshake.enables, "tag")),
            self.o.payload.error.eq(outcome.error),
            self.o.payload.flags.eq(outcome.flags),
            self.o.payload.result.eq(outcome.result),
        ]
        return m
