"""Vocabularies whose numbers are in a memory outside; which values have one is kept on the chip."""

from functools import reduce
from operator import and_, or_
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Value
from amaranth.lib import stream
from amaranth.lib.data import StructLayout, View
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Member, Out, connect, flipped

from hdl.export import place
from hdl.piper.beat import Mode, row_beat
from hdl.piper.numbering import lane_columns, numbered_beat
from hdl.piper.occupancy import Occupancy
from hdl.piper.parameters import Parameters
from hdl.piper.pending_writes import PendingWrites, write_request
from hdl.piper.vocabulary_stage import VocabularyStage, with_words
from hdl.wire import wire


class OffChipVocabularies(VocabularyStage):
    """Ports as those of ``VocabularyStage``, and for each lane with a vocabulary column

        o_read_<lane>: stream of addresses to read. i_read_<lane>: stream of the numbers there, in
        the same order; always taken.
        o_write_<lane>: stream of numbers to write, each address once. i_written_<lane>: stream of
        acknowledgements, one bit that nobody reads, in the order of the writes; always taken.

    An address is a value, and above it the rank of its column among those with a vocabulary. A
    number is written before it is ever read, and a read that the memory takes after the
    acknowledgement must see it; none is taken before. The memory needs no initial contents.
    ``busy`` stays high until all writes are acknowledged. A reset forgets what the memory still
    owes: it must come with one of the memory's ports, or while ``busy`` is low.

    Latency 5 cycles, or with a read 7 and what the memory takes, from the cycle in which it takes
    the address to that of the number. One beat a cycle as long as the memory takes a request a
    cycle, numbers come within ``reads_in_flight`` − 5 cycles, and writes are acknowledged in time:
    a beat with a new value waits if ``writes_in_flight`` of its lane are not, each of which
    takes 2 cycles and the memory's. Clearing takes a cycle for every 64 entries.

    Raises ValueError for numbers in flight that leave no room.
    """

    def __init__(
        self, parameters: Parameters, writes_in_flight: int = 16, reads_in_flight: int = 64
    ) -> None:
        if writes_in_flight < 1 or reads_in_flight < 3:
            raise ValueError(
                f"{writes_in_flight} writes and {reads_in_flight} reads in flight: "
                "there must be room for at least 1 and 3"
            )
        self.writes_in_flight = writes_in_flight
        self.reads_in_flight = reads_in_flight
        self.lanes = [lane for lane in range(parameters.lanes) if lane_columns(parameters, lane)]
        self.address_bits = numbered_beat(parameters)["address"].shape.elem_shape
        self.number_bits = (parameters.entries - 1).bit_length()
        address = StructLayout({"address": self.address_bits})
        data = StructLayout({"data": self.number_bits})
        write = write_request(self.address_bits, self.number_bits)
        ports: dict[str, Member] = {}
        for lane in self.lanes:
            ports[f"o_read_{lane}"] = Out(stream.Signature(address))
            ports[f"i_read_{lane}"] = In(stream.Signature(data))
            ports[f"o_write_{lane}"] = Out(stream.Signature(write))
            ports[f"i_written_{lane}"] = In(stream.Signature(1))
        super().__init__(parameters, **ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        numbering = self._number(m, Occupancy)
        self._numbered = numbering.o.payload
        row = row_beat(self.parameters)
        m.submodules.beats = beats = self._queue(row.size + len(self.lanes))
        writes = {lane: self._writes(m, platform, lane) for lane in self.lanes}
        rooms = [writes[lane].i.ready | ~self._numbered.new[lane] for lane in self.lanes]
        room = wire(m, reduce(and_, rooms, beats.w_rdy), "room")
        # Reads and answers need no room of their own: there is as much as for the beats they
        # belong to. (Not so in queues of two, whose register in front may be empty for a cycle.)
        moves = wire(m, numbering.o.valid & room, "moves")
        waits, words, answers = [], {}, {}
        for lane in self.lanes:
            m.d.comb += writes[lane].i.valid.eq(moves & self._numbered.new[lane])
            known = writes[lane].found
            wanted = self._numbered.seen[lane] & (self.mode != Mode.GEN)
            waits.append(wire(m, wanted & ~known, f"waits_{lane}"))
            words[lane] = Mux(wanted & known, writes[lane].data, self._numbered.row.words[lane])
            answers[lane] = self._read(m, lane, moves & waits[-1])
        m.d.comb += [
            numbering.o.ready.eq(room),
            beats.w_en.eq(moves),
            beats.w_data.eq(Cat(with_words(m, self._numbered.row, words, "queued"), *waits)),
        ]
        self._join(m, beats, answers, numbering.busy, [each.busy for each in writes.values()])
        return m

    def _queue(self, width: int) -> SyncFIFOBuffered:
        return SyncFIFOBuffered(width=width, depth=self.reads_in_flight)

    def _writes(self, m: Module, platform: object, lane: int) -> Any:
        """Where new numbers of a lane go, and are found until they can be read."""
        sizes = (self.address_bits, self.number_bits, self.writes_in_flight)
        writes: Any = place(platform, PendingWrites, *sizes)
        m.submodules[f"writes_{lane}"] = writes
        connect(m, writes.o, flipped(getattr(self, f"o_write_{lane}")))
        connect(m, flipped(getattr(self, f"i_written_{lane}")), writes.acknowledged)
        address = self._numbered.address[lane]
        m.d.comb += [
            writes.i.payload.address.eq(address),
            writes.i.payload.data.eq(self._numbered.row.words[lane]),
            writes.address.eq(address),
            # A reset that is inserted around this component does not reach into placed ones.
            writes.forget.eq(self.clearing),
        ]
        return writes

    def _read(self, m: Module, lane: int, asks: Value) -> SyncFIFOBuffered:
        """Queue a lane's reads; the queue of the answers."""
        requests, answers = self._queue(self.address_bits), self._queue(self.number_bits)
        m.submodules[f"requests_{lane}"] = requests
        m.submodules[f"answers_{lane}"] = answers
        o_read, i_read = getattr(self, f"o_read_{lane}"), getattr(self, f"i_read_{lane}")
        m.d.comb += [
            requests.w_en.eq(asks),
            requests.w_data.eq(self._numbered.address[lane]),
            o_read.valid.eq(requests.r_rdy),
            o_read.payload.address.eq(requests.r_data),
            requests.r_en.eq(o_read.ready),
            answers.w_en.eq(i_read.valid),
            answers.w_data.eq(i_read.payload.data),
            i_read.ready.eq(answers.w_rdy),
        ]
        return answers

    def _join(
        self,
        m: Module,
        beats: SyncFIFOBuffered,
        answers: dict[int, SyncFIFOBuffered],
        numbering_busy: Value,
        writes_busy: list[Value],
    ) -> None:
        """Let beats out, in order, when the answers for all their lanes are there."""
        row = row_beat(self.parameters)
        oldest = View(row, beats.r_data[: row.size])
        waits = dict(zip(self.lanes, beats.r_data[row.size :], strict=True))
        there = [answers[lane].r_rdy | ~waits[lane] for lane in self.lanes]
        complete = wire(m, reduce(and_, there, beats.r_rdy), "complete")
        words = {
            lane: Mux(waits[lane], answers[lane].r_data, oldest.words[lane]) for lane in self.lanes
        }
        leaving = self._leave(m, complete, View(row, with_words(m, oldest, words, "answered")))
        goes = wire(m, complete & leaving.ready, "goes")
        m.d.comb += beats.r_en.eq(goes)
        m.d.comb += [answers[lane].r_en.eq(goes & waits[lane]) for lane in self.lanes]
        waiting = (beats.level != 0) | leaving.busy
        m.d.comb += self.busy.eq(reduce(or_, writes_busy, numbering_busy | waiting))
