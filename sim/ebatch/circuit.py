"""The engine in simulation, as the runtime sees one: events come out, sequences go in."""

from collections import deque

import numpy as np

from hdl.ebatch.flags import done_event
from hdl.ebatch.parameters import Parameters
from hdl.ebatch.registers import Register
from sim.bench import Bench, Sink, StreamEnd
from sim.ebatch.runtime import Event, Kind
from sim.ebatch.tokens import Submission, Token, Turns
from sim.packing import unpack_fields

#: Of ``Register.CONTROL``.
RUN, EARLY_END, ALL_STEPS, DRAIN = 1, 2, 4, 8


class Feeder:
    """Sends tokens over the one stream, as ``Turns`` says."""

    def __init__(self, bench: Bench, parameters: Parameters) -> None:
        self._ports = {name: bench.port(f"i__{name}") for name in ("payload", "valid", "ready")}
        self._ports["valid"].value = 0
        self._left: list[int] = []  # beats of the token under way
        self._token: Token | None = None
        self.turns = Turns(parameters)
        #: The token that became whole in this cycle.
        self.whole: Token | None = None

    def sample(self, cycle: int) -> None:
        self.whole = None
        if self._left and int(self._ports["ready"].value):
            self._left = self._left[1:]
            if not self._left:
                self.whole = self._token

    def drive(self) -> None:
        if not self._left and (token := self.turns.next()):
            self._token, self._left = token, token.beats
        self._ports["valid"].value = int(bool(self._left))
        if self._left:
            self._ports["payload"].value = self._left[0]


class SimulatedEngine:
    """``sim.ebatch.runtime.Circuit``, by the ports of an engine under cocotb.

    inputs: of each sequence, by tag: int8 [steps, values]. now: cycles since the last reset.
    """

    def __init__(
        self,
        bench: Bench,
        parameters: Parameters,
        inputs: dict[int, np.ndarray],
        others: tuple[StreamEnd, ...],
    ) -> None:
        self.parameters = parameters
        self._bench = bench
        self._inputs = inputs
        self._start = bench.cycle
        self._feeder = Feeder(bench, parameters)
        self.sink, self.done = Sink(bench, "o", "flowing"), Sink(bench, "o_done", "flowing")
        self._ends: tuple[StreamEnd, ...] = (self._feeder, self.sink, self.done, *others)
        self._queued = [0] * parameters.lanes
        self._writes: deque[tuple[Register, int]] = deque()
        self._in_lane: list[deque[Submission]] = [deque() for _ in range(parameters.lanes)]
        self.submissions: list[Submission] = []
        self.control = EARLY_END

    @property
    def now(self) -> int:
        return self._bench.cycle - self._start

    def queued(self, lane: int) -> int:
        return self._queued[lane]

    def submit(self, lane: int, tag: int, steps: int) -> None:
        submission = Submission(lane, tag, self._inputs[tag])
        assert len(submission) == steps
        self.submissions.append(submission)
        self._queued[lane] += steps
        self._in_lane[lane].append(submission)
        self._feeder.turns.submit(submission)

    def set_steps(self, steps: int) -> None:
        self._writes.append((Register.NEXT_STEPS, steps))

    def set_run(self, run: bool) -> None:
        self._writes.append((Register.CONTROL, self.control | RUN * run))

    async def advance(self, until: int | None = None) -> list[Event]:
        bench = self._bench
        idle = 0
        while until is None or self.now < until:
            self._write()
            events = await self._tick()
            if events:
                return events
            idle = 0 if int(bench.port("busy").value) or any(self._queued) else idle + 1
            if until is None and idle > 10_000:
                return []
        return []

    def _write(self) -> None:
        bench = self._bench
        bench.port("write_enable").value = int(bool(self._writes))
        if self._writes:
            register, value = self._writes.popleft()
            bench.port("address").value = int(register)
            bench.port("write_data").value = value

    async def _tick(self) -> list[Event]:
        """One clock edge; what is seen at it."""
        bench = self._bench
        events: list[Event] = []
        count = len(self.done.received)
        await bench.tick(_Watch(self, events), *self._ends)
        now = self.now
        if (token := self._feeder.whole) and token.is_first:
            events.append(Event(Kind.LANE_FED, now, token.lane, token.tag, token.steps))
        for _, payload in self.done.received[count:]:
            event = unpack_fields(done_event(self.parameters), payload)
            events.append(
                Event(Kind.SEQUENCE_DONE, now, event["lane"], event["tag"], event["steps"])
            )
        return events

    def look(self, events: list[Event]) -> None:
        """What the status ports say in this cycle."""
        bench = self._bench
        used, room = int(bench.port("token_used").value), int(bench.port("lane_room").value)
        now = self.now + 1
        for lane in range(self.parameters.lanes):
            if used >> lane & 1:
                self._queued[lane] -= 1
                self._feeder.turns.used(lane)
            if room >> lane & 1:
                done = self._in_lane[lane].popleft()
                events.append(Event(Kind.LANE_ROOM, now, lane, done.tag, len(done)))
        steps = int(bench.port("block_steps").value)
        if int(bench.port("block_begins").value):
            events.append(Event(Kind.BLOCK_OPENED, now, steps=steps))
        if int(bench.port("block_closes").value):
            events.append(Event(Kind.BLOCK_CLOSED, now, steps=steps))


class _Watch:
    """Looks at the status ports at the clock edge."""

    def __init__(self, engine: SimulatedEngine, events: list[Event]) -> None:
        self._engine = engine
        self._events = events

    def sample(self, cycle: int) -> None:
        self._engine.look(self._events)

    def drive(self) -> None:
        pass
