"""The software side of E-BATCH: it hands sequences to lanes and sets how many steps a block has.

What to do is a policy's business (``sim.ebatch.policies``): an object that is told of arrivals and
of the engine's events and asked for a decision. It neither waits nor runs the engine, so the same
policy serves a cycle model, which is called (``serve``), and a simulated circuit, which is awaited
(``serve_circuit``). ``Session`` stands between the two and trusts neither.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from hdl.ebatch.parameters import Parameters


class Kind(Enum):
    """What an engine says on its own.

    LANE_FED: the first token of a sequence is in its lane. LANE_ROOM: layer 0 has used up the last
    token of a sequence; the lane can take another at once. SEQUENCE_DONE: the last output of a
    sequence has left the engine. BLOCK_OPENED: a block begins, and how many steps it was given.
    BLOCK_CLOSED: layer 0 is through with it, and how many steps it really has; what is handed over
    from now on is for later blocks.
    """

    LANE_FED = "lane-fed"
    LANE_ROOM = "lane-room"
    SEQUENCE_DONE = "sequence-done"
    BLOCK_OPENED = "block-opened"
    BLOCK_CLOSED = "block-closed"

    @property
    def is_of_lane(self) -> bool:
        return self not in (Kind.BLOCK_OPENED, Kind.BLOCK_CLOSED)


@dataclass(frozen=True, slots=True)
class Event:
    """``steps``: of the sequence or of the block. lane, tag: 0 in events of blocks."""

    kind: Kind
    cycle: int
    lane: int = 0
    tag: int = 0
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """A sequence that wants to be computed: its tag, its length, and the cycle it arrives in.

    No two that are in the engine at once have the same tag.
    """

    tag: int
    steps: int
    arrival: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"sequence {self.tag} has {self.steps} steps; it needs at least 1")
        if self.tag < 0 or self.arrival < 0:
            raise ValueError(f"sequence {self.tag} arrives in {self.arrival}; neither may be < 0")


class Lanes(Protocol):
    """What a policy sees of an engine."""

    @property
    def parameters(self) -> Parameters: ...

    @property
    def now(self) -> int:
        """The cycle up to which everything has happened and was told."""
        ...

    def queued(self, lane: int) -> int:
        """Steps handed to the lane that layer 0 has not used up."""
        ...


class Controls(Lanes, Protocol):
    """What a session may do to an engine. Nothing takes effect before the next cycle.

    A whole sequence is handed over; its tokens wait outside the engine and come in over the one
    token stream, of which the lanes that have a token waiting and room for it take turns.
    """

    def submit(self, lane: int, tag: int, steps: int) -> None:
        """Behind the sequences the lane already has."""
        ...

    def set_steps(self, steps: int) -> None:
        """How many steps blocks have that begin from now on: 1 to ``max_steps``."""
        ...

    def set_run(self, run: bool) -> None:
        """Whether further blocks may begin. A block that has begun is finished either way."""
        ...


class Machine(Controls, Protocol):
    """An engine that is called."""

    def advance(self, until: int | None = None) -> list[Event]:
        """Run to the next events and return them, at most to the cycle ``until``.

        All events of a list are of one cycle, ``now``. The list is empty if ``until`` came first,
        or if there is no ``until`` and nothing will ever happen unless something is done.
        """
        ...


class Circuit(Controls, Protocol):
    """An engine that is awaited."""

    async def advance(self, until: int | None = None) -> list[Event]:
        """As that of ``Machine``."""
        ...


@dataclass(frozen=True)
class Costs:
    """Cycles of each layer: of one step, and of bringing in its weights (0 if they stay)."""

    step_cycles: tuple[int, ...]
    load_cycles: tuple[int, ...]

    @property
    def ratio(self) -> float:
        """Steps a layer must be computed for until loading the next one is hidden: r."""
        return max(
            load / step for load, step in zip(self.load_cycles, self.step_cycles, strict=True)
        )

    def block_cycles(self, steps: int) -> int:
        """Of all layers, if loading is hidden behind computing or the other way round."""
        return sum(
            max(load, steps * step)
            for load, step in zip(self.load_cycles, self.step_cycles, strict=True)
        )


@dataclass(frozen=True)
class Decision:
    """What to do now. submissions: lane and sequence, in the order they are handed over."""

    submissions: tuple[tuple[int, Request], ...]
    steps: int
    run: bool = True


class Policy(Protocol):
    """Decides. ``decide`` is called after whatever arrived and happened in a cycle was told."""

    def on_arrival(self, request: Request) -> None: ...

    def on_events(self, events: Sequence[Event]) -> None: ...

    def decide(self) -> Decision: ...


@dataclass(slots=True)
class Record:
    """What became of a request: its lane, and the cycles it was handed over and done in."""

    request: Request
    lane: int
    submitted: int
    done: int | None = None

    @property
    def latency(self) -> int:
        """Cycles from arrival to the last output."""
        if self.done is None:
            raise ValueError(f"sequence {self.request.tag} is not done")
        return self.done - self.request.arrival


class ServingError(RuntimeError):
    """A policy or an engine did what it must never do."""


@dataclass
class Session:
    """One run: requests, given in order of arrival, through an engine by a policy.

    ``records`` are in the order of handing over. Raises ServingError if a sequence is handed over
    twice, or where none may be; if the engine says done for what it does not have, with a wrong
    length, lane, or out of a lane's order; or if nothing goes on although not all is done.
    """

    machine: Controls
    policy: Policy
    requests: Iterable[Request]
    records: list[Record] = field(default_factory=list)
    done: int = 0

    def __post_init__(self) -> None:
        self._coming = deque(self.requests)
        lanes = range(self.machine.parameters.lanes)
        self._in_lane: list[deque[Record]] = [deque() for _ in lanes]
        self._tags: set[int] = set()
        self._arrived: dict[int, Request] = {}  # those that wait, by identity
        self._steps: int | None = None
        self._run: bool | None = None
        for before, after in zip(self._coming, list(self._coming)[1:], strict=False):
            if after.arrival < before.arrival:
                raise ValueError(f"sequence {after.tag} arrives before the one listed before it")

    @property
    def is_finished(self) -> bool:
        return not (self._coming or self._arrived or self._tags)

    @property
    def waiting(self) -> int:
        """Requests that have arrived and are in no lane."""
        return len(self._arrived)

    @property
    def until(self) -> int | None:
        """The cycle of the next arrival."""
        return self._coming[0].arrival if self._coming else None

    def begin(self) -> None:
        """What is to be done before the engine runs for the first time."""
        self._arrive()
        self._carry_out()

    def handle(self, events: Sequence[Event]) -> None:
        """What ``advance`` returned, and the arrivals up to now."""
        if not (self._arrive() or events or self._coming):
            missing = len(self._arrived) + len(self._tags)
            raise ServingError(f"{missing} sequences are not done and nothing goes on")
        for event in events:
            if event.kind is Kind.SEQUENCE_DONE:
                self._complete(event)
        if events:
            self.policy.on_events(events)
        self._carry_out()

    def _arrive(self) -> bool:
        arrived = False
        while self._coming and self._coming[0].arrival <= self.machine.now:
            request = self._coming.popleft()
            self._arrived[id(request)] = request
            self.policy.on_arrival(request)
            arrived = True
        return arrived

    def _carry_out(self) -> None:
        parameters = self.machine.parameters
        decision = self.policy.decide()
        if not 1 <= decision.steps <= parameters.max_steps:
            raise ServingError(f"{decision.steps} steps; allowed are 1 to {parameters.max_steps}")
        for lane, request in decision.submissions:
            self._submit(lane, request)
        if decision.steps != self._steps:
            self.machine.set_steps(decision.steps)
            self._steps = decision.steps
        if decision.run != self._run:
            self.machine.set_run(decision.run)
            self._run = decision.run

    def _submit(self, lane: int, request: Request) -> None:
        if id(request) not in self._arrived:
            raise ServingError(f"sequence {request.tag} is not one that waits")
        if not 0 <= lane < len(self._in_lane):
            raise ServingError(f"lane {lane}; there are {len(self._in_lane)}")
        if request.tag in self._tags:
            raise ServingError(f"tag {request.tag} is in the engine already")
        if request.tag >> self.machine.parameters.tag_bits:
            raise ServingError(f"tag {request.tag} does not fit the engine's tags")
        del self._arrived[id(request)]
        self._tags.add(request.tag)
        record = Record(request, lane, self.machine.now)
        self.records.append(record)
        self._in_lane[lane].append(record)
        self.machine.submit(lane, request.tag, request.steps)

    def _complete(self, event: Event) -> None:
        said = f"lane {event.lane}: done with tag {event.tag}, {event.steps} steps"
        if not self._in_lane[event.lane]:
            raise ServingError(f"{said}; the lane has nothing")
        record = self._in_lane[event.lane].popleft()
        if (event.tag, event.steps) != (record.request.tag, record.request.steps):
            expected = f"tag {record.request.tag}, {record.request.steps} steps"
            raise ServingError(f"{said}; next in the lane is {expected}")
        record.done = event.cycle
        self._tags.remove(event.tag)
        self.done += 1


def serve(
    machine: Machine,
    policy: Policy,
    requests: Iterable[Request],
    observe: Callable[[Session], None] | None = None,
) -> list[Record]:
    """Everything that became of the requests. ``observe`` is called whenever something happened."""
    session = Session(machine, policy, requests)
    session.begin()
    while not session.is_finished:
        session.handle(machine.advance(session.until))
        if observe:
            observe(session)
    return session.records


async def serve_circuit(
    circuit: Circuit,
    policy: Policy,
    requests: Iterable[Request],
    observe: Callable[[Session], None] | None = None,
) -> list[Record]:
    """As ``serve``."""
    session = Session(circuit, policy, requests)
    session.begin()
    while not session.is_finished:
        session.handle(await circuit.advance(session.until))
        if observe:
            observe(session)
    return session.records
