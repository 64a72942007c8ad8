"""What the pipeline counts, to be read one figure at a time."""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import Component, In, Out, Signature

from hdl.piper.beat import Cause
from hdl.piper.operator import WORD
from hdl.piper.parameters import Parameters
from hdl.piper.row_store import is_bad

#: Counters by address: rows that came in, bad rows, rows of each cause from CAUSES on, fields
#: whose value has no number, of those the ones that can't have one, cycles in which a beat was
#: offered and refused. From SIZES on the size of the vocabulary of each column.
ROWS, FLAGGED, CAUSES = 0, 1, 2
UNSEEN = CAUSES + len(Cause)
OVERFLOWED, REFUSED = UNSEEN + 1, UNSEEN + 2
SIZES = 64


class Counters(Component):
    """Counts, modulo 2^32, since the last reset.

    Ports
        finished, causes: a row has come in. unseen, overflowed: fields of a beat that leaves.
        refused: a beat is offered and not taken. column, size: of the vocabulary readout.
        counter: address. value: of the counter at the address of the cycle before; 0 if there
        is none.
    """

    def __init__(self, parameters: Parameters) -> None:
        columns = len(parameters.schema.columns)
        self.columns = columns
        super().__init__(
            Signature(
                {
                    "finished": In(1),
                    "causes": In(len(Cause)),
                    "unseen": In(range(parameters.lanes + 1)),
                    "overflowed": In(range(parameters.lanes + 1)),
                    "refused": In(1),
                    "column": Out(range(columns)),
                    "size": In(range(parameters.entries + 1)),
                    "counter": In(range(SIZES + columns)),
                    "value": Out(WORD),
                }
            )
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        counted = {
            ROWS: self.finished,
            FLAGGED: self.finished & is_bad(self.causes),
            **{CAUSES + cause: self.finished & self.causes[cause] for cause in Cause},
            UNSEEN: self.unseen,
            OVERFLOWED: self.overflowed,
            REFUSED: self.refused,
        }
        address = Signal.like(self.counter)
        m.d.sync += address.eq(self.counter)
        m.d.comb += self.column.eq(self.counter - SIZES)
        with m.If(address >= SIZES):
            m.d.comb += self.value.eq(self.size)
        for place, amount in counted.items():
            total = Signal(WORD, name=f"count_{place}")
            m.d.sync += total.eq(total + amount)
            with m.If(address == place):
                m.d.comb += self.value.eq(total)
        return m
