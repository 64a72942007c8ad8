"""A ring of rows: written as they come, read when they are whole."""

from math import gcd

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.data import ArrayLayout, StructLayout, View
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out, Signature

from hdl.pipeline import Handshake, hold
from hdl.piper.beat import Cause
from hdl.piper.parameters import BadRows, Parameters
from hdl.piper.route import rotate
from hdl.piper.row_part import entry_layout, row_part
from hdl.wire import wire

#: Rows there is room for, at least: one is read, one written, and one begins behind it; the
#: others let rows pass that are shorter than most.
ROWS = 4


def stored_beat(parameters: Parameters) -> StructLayout:
    """Entries of a row that are read together; the other fields as in ``row_beat``."""
    return StructLayout(
        {
            "entries": ArrayLayout(entry_layout(parameters.source), parameters.lanes),
            "beat": range(parameters.beats),
            "causes": len(Cause),
            "row_end": 1,
            "last": 1,
        }
    )


def is_bad(causes: Value) -> Value:
    """Whether a row is bad: any cause but the missing newline at the end."""
    return (causes & ~Const(1 << Cause.NO_FINAL_NEWLINE, len(Cause))).any()


class RowStore(Component):
    """Holds rows until they are whole, and gives them out aligned: entry 0 in lane 0.

    Ports
        i: stream of ``row_part``. o: stream of ``stored_beat``: the beats of each row, and a beat
        of its own with ``last`` for the end of a data set.
        finished, causes: in a cycle with ``finished`` a row has come in whole, with these causes.

    Entries of all rows follow each other in a ring, which is cut into as many banks as entries may
    come in a cycle; consecutive ones lie in different banks, so a rotation is all that writing
    takes. Bad rows are skipped, one a cycle, if they are to be dropped; otherwise entries they
    lack read as missing. Latency 3 cycles from the end of a row; ``beats`` cycles a row.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        super().__init__(
            Signature(
                {
                    "i": In(stream.Signature(row_part(parameters))),
                    "o": Out(stream.Signature(stored_beat(parameters))),
                    "finished": Out(1),
                    "causes": Out(len(Cause)),
                }
            )
        )
        self.size = len(parameters.places)
        self.banks = parameters.banks
        wanted = -(-ROWS * self.size // self.banks)
        self.depth = 1 << (max(wanted, 2) - 1).bit_length()
        self.rows = self.depth * self.banks // self.size

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        entry = entry_layout(p.source)
        self._platform = platform
        memories = []
        for bank in range(self.banks):
            memory = Memory(shape=entry.size, depth=self.depth, init=[])
            m.submodules[f"bank_{bank}"] = memory
            memories.append(memory)
        self._row = StructLayout(
            {"causes": len(Cause), "present": range(self.size + 1), "is_row": 1, "last": 1}
        )
        queue = SyncFIFO(width=self._row.size, depth=self.rows + 1)
        m.submodules.queue = queue
        released = Signal()
        self._write(m, memories, queue, released)
        self._read(m, memories, queue, released)
        return m

    def _position(self, name: str, **options: object) -> tuple[Signal, Value]:
        """A register for positions in the ring at which rows begin, and its value.

        They are multiples of the alignment; the bits below are not there.
        """
        low = self.parameters.alignment.bit_length() - 1
        register = Signal(range(self.depth * self.banks >> low), name=name)
        return register, Cat(Const(0, low), register)

    def _step(self) -> int:
        return self.size // self.parameters.alignment

    def _write(self, m: Module, memories: list[Memory], queue: SyncFIFO, released: Value) -> None:
        part = self.i.payload
        base, position = self._position("write_base")
        causes = Signal(len(Cause))  # of the row so far
        rows = Signal(range(self.rows + 1))  # in the ring, whole ones
        has_room = wire(m, rows + 2 <= self.rows, "has_room")
        moves = wire(m, self.i.valid & has_room, "moves")
        pushes = wire(m, moves & (part.row_end | part.last), "pushes")
        all_causes = wire(m, causes | part.causes, "all_causes")
        m.d.comb += [
            self.i.ready.eq(has_room),
            self.finished.eq(moves & part.row_end),
            self.causes.eq(all_causes),
        ]
        m.d.sync += rows.eq(rows + pushes - released)
        with m.If(moves):
            m.d.sync += causes.eq(Mux(part.row_end, part.next_causes, all_causes))
            with m.If(part.row_end):
                m.d.sync += base.eq(base + self._step())

        # Entries to their banks, from where the row is.
        start = wire(m, position + part.first, "start")
        bank_bits = self.banks.bit_length() - 1
        bank, address = start[:bank_bits], start[bank_bits:]
        slots = Cat(
            Cat(part.entries[slot].as_value(), part.written[slot]) for slot in range(self.banks)
        )
        turned = wire(m, rotate(m, self._platform, slots, bank), "turned")
        for at, memory in enumerate(memories):
            port = memory.write_port()
            slot = turned.word_select(at, len(slots) // self.banks)
            item = hold(m, slot, Const(1, 1), f"write_{at}")
            wraps = wire(m, bank > at, f"wraps_{at}")
            where = wire(m, (address + wraps)[: port.addr.shape().width], f"where_{at}")
            m.d.comb += [
                port.data.eq(item[:-1]),
                port.addr.eq(hold(m, where, Const(1, 1), f"address_{at}")),
            ]
            enable = Signal(name=f"enable_{at}")
            m.d.sync += enable.eq(moves & slot[-1])
            m.d.comb += port.en.eq(enable)
        row = Signal(self._row, reset_less=True)
        pushed = Signal()
        m.d.sync += [
            pushed.eq(pushes),
            row.causes.eq(all_causes),
            row.present.eq(part.present),
            row.is_row.eq(part.row_end),
            row.last.eq(part.last),
        ]
        m.d.comb += [queue.w_en.eq(pushed), queue.w_data.eq(row.as_value())]

    def _read(self, m: Module, memories: list[Memory], queue: SyncFIFO, released: Value) -> None:
        p = self.parameters
        base, position = self._position("read_base")
        row = View(self._row, queue.r_data)
        beat = Signal(range(p.beats))
        row_is_out = Signal()  # but not yet the end of the data set that follows it
        is_dropped = wire(
            m, row.is_row & is_bad(row.causes) & (p.bad_rows is BadRows.DROP), "is_dropped"
        )
        is_read = wire(m, queue.r_rdy & row.is_row & ~is_dropped & ~row_is_out, "is_read")
        is_end = wire(m, queue.r_rdy & row.last & ~is_read, "is_end")
        handshake = Handshake(m, 1, is_read | is_end, self.o.ready, Const(0, 1), "read")
        row_end = wire(m, is_read & (beat == p.beats - 1), "row_end")
        row_ends = wire(m, row_end & handshake.ready, "row_ends")
        skips = wire(m, queue.r_rdy & is_dropped & ~row.last, "skips")
        ends = wire(m, is_end & handshake.ready, "ends")
        m.d.comb += [
            released.eq(skips | ends | (row_ends & ~row.last)),
            queue.r_en.eq(released),
            self.o.valid.eq(handshake.valid),
        ]
        with m.If(is_read & handshake.ready):
            m.d.sync += beat.eq(Mux(row_end, 0, beat + 1))
        with m.If(row_ends | skips | (ends & is_dropped)):
            m.d.sync += base.eq(base + self._step())
        with m.If(row_ends | ends):
            m.d.sync += row_is_out.eq(row_ends & row.last)

        found = Signal(stored_beat(p), name="found")
        entries = self._entries(m, memories, position, beat)
        for lane, entry in enumerate(entries):
            lacks = row.present <= beat * p.lanes + lane
            m.d.comb += [
                found.entries[lane].eq(entry),
                found.entries[lane].is_missing.eq(entry.is_missing | lacks),
            ]
        m.d.comb += [
            found.beat.eq(beat),
            found.causes.eq(Mux(is_end, 0, row.causes)),
            found.row_end.eq(row_end),
            found.last.eq(is_end),
            self.o.payload.eq(hold(m, found.as_value(), handshake.enables, "found_held")),
        ]

    def _entries(
        self, m: Module, memories: list[Memory], position: Value, beat: Value
    ) -> list[View]:
        """The entries of one beat of the row at ``position``."""
        p = self.parameters
        start = wire(m, position + beat * p.lanes, "read_start")
        bank_bits = self.banks.bit_length() - 1
        bank, address = start[:bank_bits], start[bank_bits:]
        words = []
        for at, memory in enumerate(memories):
            port = memory.read_port(domain="comb")
            wraps = wire(m, bank > at, f"read_wraps_{at}")
            m.d.comb += port.addr.eq(address + wraps)
            words.append(port.data)
        # Beats begin at some of the banks only.
        step = gcd(p.alignment, p.lanes)
        select = bank[step.bit_length() - 1 :]
        layout = entry_layout(p.source)
        return [
            View(
                layout,
                wire(
                    m,
                    Cat(
                        words[(lane + first) % self.banks] for first in range(0, self.banks, step)
                    ).word_select(select, layout.size),
                    f"entry_{lane}",
                ),
            )
            for lane in range(p.lanes)
        ]
