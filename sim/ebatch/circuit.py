"""The engine in simulation, as the runtime sees one: events come out, sequences go in."""

from collections import deque

import numpy as np

from hdl.ebatch.flags import done_event
from hdl.ebatch.parameters import Parameters
from hdl.ebatch.registers import Register
from sim.bench import Bench, Sink, StreamEnd
from sim.ebatch.runtime import Event, Kind
from sim.ebatch.tokens import Submission, token_beats
from sim.packing import unpack_fields

#: Of ``Register.CONTROL``.
RUN, EARLY_END, ALL_STEPS, DRAIN = 1, 2, 4, 8


class Feeder:
    """Sends tokens over the one stream: lanes with a token waiting and room take turns."""

    def __init__(self, bench: Bench, parameters: Parameters) -> None:
        self._ports = {name: bench.port(f"i__{name}") for name in ("payload", "valid", "ready")}
        self._depth = parameters.token_depth
        self._lanes = parameters.lanes
        self._waiting: list[deque[tuple[list[int], int, int, bool]]] = [
            deque() for _ in range(parameters.lanes)
        ]
        self._held = [0] * parameters.lanes
        self._last = parameters.lanes - 1
        self._beats: list[int] = []
        self._token: tuple[int, int, int, bool] = (0, 0, 0, False)
        self._ports["valid"].value = 0
        #: First tokens that became whole in this cycle: lane, tag, steps.
        self.fed: list[tuple[int, int, int]] = []

    def submit(self, submission: Submission, parameters: Parameters) -> None:
        steps = len(submission)
        for at, beats in enumerate(token_beats(submission, parameters)):
            self._waiting[submission.lane].append((beats, submission.tag, steps, at == 0))

    def used(self, lane: int) -> None:
        self._held[lane] -= 1

    def sample(self, cycle: int) -> None:
        self.fed = []
        if self._beats and int(self._ports["ready"].value):
            self._beats = self._beats[1:]
            lane, tag, steps, is_first = self._token
            if not self._beats and is_first:
                self.fed = [(lane, tag, steps)]

    def drive(self) -> None:
        if not self._beats:
            self._choose()
        self._ports["valid"].value = int(bool(self._beats))
        if self._beats:
            self._ports["payload"].value = self._beats[0]

    def _choose(self) -> None:
        for step in range(1, self._lanes + 1):
            lane = (self._last + step) % self._lanes
            if self._waiting[lane] and self._held[lane] < self._depth:
                self._beats, tag, steps, is_first = self._waiting[lane].popleft()
                self._token = lane, tag, steps, is_first
                self._held[lane] += 1
                self._last = lane
                return


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
        self._feeder.submit(submission, self.parameters)

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
            idle = 0 if int(bench.port("busy").value) or self._feeder_busy() else idle + 1
            if until is None and idle > 10_000:
                return []
        return []

    def _feeder_busy(self) -> bool:
        return any(self._queued)

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
        for lane, tag, steps in self._feeder.fed:
            events.append(Event(Kind.LANE_FED, now, lane, tag, steps))
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
                self._feeder.used(lane)
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
