"""The engine as compiled C++, as the runtime sees one: for workloads of millions of cycles."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from amaranth.hdl import Cat, Module
from amaranth.lib.data import StructLayout
from amaranth.lib.wiring import Component, In, Member, Out, connect, flipped
from numpy.typing import NDArray

from golden.ebatch import Bytes, Layer
from hdl.ebatch.flags import done_event, output_beat
from hdl.ebatch.parameters import Parameters
from hdl.ebatch.registers import Register
from hdl.ebatch.top import Ebatch
from sim.ebatch.circuit import EARLY_END, RUN
from sim.ebatch.runtime import Event, Kind
from sim.ebatch.tokens import Submission, Token, Turns
from sim.ebatch.weights import weight_beats
from sim.packing import unpack_fields
from sim.stream_runner import build_stream_runner

#: Cycles between two looks of the host at the engine.
INTERVAL = 256


def status_layout(parameters: Parameters) -> StructLayout:
    """What an engine says of itself in a cycle; ports of ``Ebatch`` by name."""
    return StructLayout(
        {
            "token_used": parameters.lanes,
            "lane_room": parameters.lanes,
            "block_begins": 1,
            "block_closes": 1,
            "block_steps": 16,
        }
    )


class Watched(Component):
    """An engine whose status comes as a stream, ``o_status``, in cycles in which there is any."""

    def __init__(self, parameters: Parameters) -> None:
        self.engine = Ebatch(parameters)
        self.layout = status_layout(parameters)
        members: dict[str, Member] = {
            name: member
            for name, member in self.engine.signature.members.items()
            if name not in self.layout.members
        }
        # A stream that is always ready; as a member of a top component it could not be exported.
        status = {"o_status__payload": Out(self.layout.size), "o_status__valid": Out(1)}
        super().__init__({**members, **status})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.engine = engine = self.engine
        for name, member in self.signature.members.items():
            if name.startswith("o_status"):
                continue
            inner, outer = getattr(engine, name), getattr(self, name)
            if member.is_signature:
                connect(m, flipped(outer), inner)
            elif member.flow is In:
                m.d.comb += inner.eq(outer)
            else:
                m.d.comb += outer.eq(inner)
        said = Cat(engine.token_used, engine.block_begins, engine.block_closes)
        m.d.comb += [
            self.o_status__valid.eq(said.any()),
            self.o_status__payload.eq(Cat(getattr(engine, name) for name in self.layout.members)),
        ]
        return m


class NativeEngine:
    """``sim.ebatch.runtime.Machine``. The host looks at it every ``INTERVAL`` cycles.

    inputs: of each sequence, by tag. outputs: the last outputs of each, int8 [units], by tag.
    """

    def __init__(
        self, parameters: Parameters, network: Sequence[Layer], inputs: Mapping[int, Bytes]
    ) -> None:
        self.parameters = p = parameters
        self._inputs = inputs
        self._runner = build_stream_runner(Watched(p))
        self._runner.reset()
        self._status = status_layout(p)
        layers = [self._rows("i_weights", weight_beats(layer, p)) for layer in network]
        self._layer_words = [len(rows) for rows in layers]
        self._layers = layers
        self._word = 0  # of all layers, one after the other, again and again
        self._turns = Turns(p)
        self._beats = self._rows("i", [])
        # First tokens among these beats, each behind how many beats it is whole.
        self._first: deque[tuple[int, Token]] = deque()
        self._queued = [0] * p.lanes
        self._in_lane: list[deque[tuple[int, int]]] = [deque() for _ in range(p.lanes)]
        self.now = 0
        self.outputs: dict[int, Bytes] = {}
        self._output = b""
        self._finished: deque[Bytes] = deque()

    def queued(self, lane: int) -> int:
        return self._queued[lane]

    def submit(self, lane: int, tag: int, steps: int) -> None:
        submission = Submission(lane, tag, self._inputs[tag])
        assert len(submission) == steps
        self._queued[lane] += steps
        self._in_lane[lane].append((tag, steps))
        self._turns.submit(submission)

    def set_steps(self, steps: int) -> None:
        self._write(Register.NEXT_STEPS, steps)

    def set_run(self, run: bool) -> None:
        self._write(Register.CONTROL, EARLY_END | RUN * run)

    def register(self, register: Register) -> int:
        """What a register holds."""
        self._runner.set(address=int(register))
        self._runner.tick()
        self.now += 1
        return self._runner.get("read_data")

    def advance(self, until: int | None = None) -> list[Event]:
        """As that of ``Machine``, but events of an interval come together, when it is over."""
        while until is None or self.now < until:
            cycles = INTERVAL if until is None else min(INTERVAL, until - self.now)
            events = self._run(cycles)
            if events:
                return events
        return []

    def _run(self, cycles: int) -> list[Event]:
        self._choose(cycles)
        weights = self._weights(cycles)
        run = self._runner.run(
            {"i": self._beats, "i_weights": weights},
            {"o": None, "o_done": None, "o_load": None, "o_status": None},
            cycles=cycles,
        )
        start, self.now = self.now, self.now + cycles
        self._word = (self._word + len(run.taken_at["i_weights"])) % sum(self._layer_words)
        events = self._taken(run.taken_at["i"], start)
        for at, row in zip(run.received_at["o_status"], run.received["o_status"], strict=True):
            status = unpack_fields(self._status, int.from_bytes(row.tobytes(), "little"))
            events += self._events(status, start + int(at))
        for row in run.received["o"]:
            self._keep(int.from_bytes(row.tobytes(), "little"))
        layout = done_event(self.parameters)
        for at, row in zip(run.received_at["o_done"], run.received["o_done"], strict=True):
            done = unpack_fields(layout, int.from_bytes(row.tobytes(), "little"))
            cycle = start + int(at)
            events.append(
                Event(Kind.SEQUENCE_DONE, cycle, done["lane"], done["tag"], done["steps"])
            )
            self.outputs[done["tag"]] = self._finished.popleft()
        return sorted(events, key=lambda event: event.cycle)

    def _choose(self, cycles: int) -> None:
        """Tokens for the next cycles."""
        parts, count = [self._beats], len(self._beats)
        while count < cycles and (token := self._turns.next()):
            parts.append(self._rows("i", token.beats))
            count += len(token.beats)
            if token.is_first:
                self._first.append((count, token))
        self._beats = np.concatenate(parts)

    def _taken(self, taken_at: NDArray[np.uint64], start: int) -> list[Event]:
        """The first tokens of sequences among the beats that were taken."""
        count = len(taken_at)
        events = []
        while self._first and self._first[0][0] <= count:
            at, token = self._first.popleft()
            cycle = start + int(taken_at[at - 1])
            events.append(Event(Kind.LANE_FED, cycle, token.lane, token.tag, token.steps))
        self._first = deque((at - count, token) for at, token in self._first)
        self._beats = self._beats[count:]
        return events

    def _events(self, status: Mapping[str, int], cycle: int) -> Iterator[Event]:
        for lane in range(self.parameters.lanes):
            if status["token_used"] >> lane & 1:
                self._queued[lane] -= 1
                self._turns.used(lane)
            if status["lane_room"] >> lane & 1:
                tag, steps = self._in_lane[lane].popleft()
                yield Event(Kind.LANE_ROOM, cycle, lane, tag, steps)
        if status["block_begins"]:
            yield Event(Kind.BLOCK_OPENED, cycle, steps=status["block_steps"])
        if status["block_closes"]:
            yield Event(Kind.BLOCK_CLOSED, cycle, steps=status["block_steps"])

    def _keep(self, payload: int) -> None:
        """A beat of outputs; an output comes out before its sequence is done."""
        beat = unpack_fields(output_beat(self.parameters), payload)
        self._output += beat["data"].to_bytes(self.parameters.width, "little")
        if beat["end"]:
            self._finished.append(np.frombuffer(self._output, np.int8))
            self._output = b""

    def _write(self, register: Register, value: int) -> None:
        self._runner.set(address=int(register), write_data=value, write_enable=1)
        self._runner.tick()
        self._runner.set(write_enable=0)
        self.now += 1

    def _rows(self, name: str, beats: Sequence[int]) -> NDArray[np.uint8]:
        """Beats of a stream as the runner takes them."""
        size = -(-self._runner.widths[name] // 8)
        data = b"".join(beat.to_bytes(size, "little") for beat in beats)
        return np.frombuffer(data, np.uint8).reshape(-1, size)

    def _weights(self, cycles: int) -> NDArray[np.uint8]:
        """As many words of weights as can be taken in so many cycles."""
        found: list[NDArray[np.uint8]] = []
        word, count, layer = self._word, 0, 0
        while word >= self._layer_words[layer]:
            word -= self._layer_words[layer]
            layer += 1
        while count < cycles:
            rows = self._layers[layer][word:]
            found.append(rows)
            count += len(rows)
            word, layer = 0, (layer + 1) % len(self._layers)
        return np.concatenate(found)[:cycles]
