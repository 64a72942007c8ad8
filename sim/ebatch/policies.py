"""Which sequence goes to which lane, and how many steps a block has: the policies compared.

All run on the same engine; they differ in when they refill a lane and in what they set.

=================  ==============================================  ==========================
policy             a lane is given its next sequence               steps of a block
=================  ==============================================  ==========================
``Static``         when all lanes are done                         of the longest sequence
``Cellular``       between blocks, if it has none                  fixed, few
``EBatch``         before it has used up the one before            a rule: ``FixedSteps``,
                                                                   ``Backlog``, ``LatencyBound``
=================  ==============================================  ==========================

Static batches are filled in order of arrival or, bucketed, with sequences of like length.
Cellular is how BatchMaker refills (a sequence joins between two calls of a cell), here for all
layers. The rules of E-BATCH are reconstructed from its abstract (arXiv:2009.10656).
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from math import ceil

from sim.ebatch.runtime import Costs, Decision, Event, Kind, Lanes, Request

Submissions = list[tuple[int, Request]]


class Queue(ABC):
    """Requests that wait, in order of arrival, and whether layer 0 is at work on a block."""

    def __init__(self, lanes: Lanes) -> None:
        self.lanes = lanes
        self.count = lanes.parameters.lanes
        self.max_steps = lanes.parameters.max_steps
        self.waiting: deque[Request] = deque()
        self.is_open = False

    def on_arrival(self, request: Request) -> None:
        self.waiting.append(request)

    def on_events(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.kind is Kind.BLOCK_OPENED:
                self.is_open = True
            elif event.kind is Kind.BLOCK_CLOSED:
                self.is_open = False

    @abstractmethod
    def decide(self) -> Decision: ...

    def queued(self) -> list[int]:
        """Steps of each lane that layer 0 has not used up."""
        return [self.lanes.queued(lane) for lane in range(self.count)]


class Static(Queue):
    """A sequence for each lane, together from the first step until the last of them is done.

    bucketed: the batch has the oldest request and, of all that wait, those of like length: the
    choice whose mean length is nearest to its longest. Sequences longer than ``max_steps`` take
    several blocks; no lane is refilled in between.
    """

    def __init__(self, lanes: Lanes, *, bucketed: bool = False) -> None:
        super().__init__(lanes)
        self.bucketed = bucketed
        self.running = 0
        self.unfed: set[int] = set()

    def on_events(self, events: Sequence[Event]) -> None:
        super().on_events(events)
        for event in events:
            if event.kind is Kind.LANE_FED:
                self.unfed.discard(event.lane)
            elif event.kind is Kind.SEQUENCE_DONE:
                self.running -= 1

    def decide(self) -> Decision:
        batch: list[Request] = []
        if not self.running and self.waiting:
            batch = self._take_batch()
            self.running = len(batch)
            self.unfed = set(range(len(batch)))
        ahead = max(*self.queued(), *(request.steps for request in batch), 1)
        # All lanes must have a token when the block begins, or some would lag behind by a step.
        return Decision(
            tuple(enumerate(batch)),
            min(ahead, self.max_steps),
            run=self.running > 0 and not self.unfed,
        )

    def _take_batch(self) -> list[Request]:
        if not self.bucketed or len(self.waiting) <= self.count:
            return [self.waiting.popleft() for _ in range(min(self.count, len(self.waiting)))]
        chosen = _like_the_first(self.waiting, self.count)
        taken = {id(request) for request in chosen}
        self.waiting = deque(each for each in self.waiting if id(each) not in taken)
        return chosen


def _like_the_first(requests: Sequence[Request], count: int) -> list[Request]:
    """The first request and ``count`` - 1 others, whose mean length is nearest to the longest."""
    ordered = sorted(requests, key=lambda request: request.steps)
    at = next(place for place, each in enumerate(ordered) if each is requests[0])
    starts = range(max(0, at - count + 1), min(at, len(ordered) - count) + 1)

    def filled(start: int) -> float:
        batch = ordered[start : start + count]
        return sum(request.steps for request in batch) / batch[-1].steps

    best = max(starts, key=filled)
    return ordered[best : best + count]


class Cellular(Queue):
    """Blocks of a few steps; between them lanes without a sequence are given one, never two.

    With many steps it is E-BATCH without concatenation: a lane stays empty until its block ends.
    """

    def __init__(self, lanes: Lanes, steps: int) -> None:
        super().__init__(lanes)
        self.steps = min(steps, self.max_steps)

    def decide(self) -> Decision:
        submissions: Submissions = []
        if self.waiting and not self.is_open:
            for lane, queued in enumerate(self.queued()):
                if not queued and self.waiting:
                    submissions.append((lane, self.waiting.popleft()))
        return Decision(tuple(submissions), self.steps)


class EBatch(Queue):
    """Sequences end to end: lanes always have more steps queued than a block takes.

    A request waits outside while all lanes have enough, and goes to the lane with the least.
    """

    def __init__(self, lanes: Lanes) -> None:
        super().__init__(lanes)
        self.in_lane: list[deque[Request]] = [deque() for _ in range(self.count)]
        self.waiting_steps = 0
        self.steps = 1

    def on_arrival(self, request: Request) -> None:
        super().on_arrival(request)
        self.waiting_steps += request.steps

    def on_events(self, events: Sequence[Event]) -> None:
        super().on_events(events)
        for event in events:
            if event.kind is Kind.SEQUENCE_DONE:
                self.in_lane[event.lane].popleft()

    def decide(self) -> Decision:
        if self.is_open and not self.waiting:
            return Decision((), self.steps)
        queued = self.queued()
        if not self.is_open:
            self.steps = max(1, min(self.choose(queued), self.max_steps))
        return Decision(tuple(self._refill(queued)), self.steps)

    @abstractmethod
    def choose(self, queued: Sequence[int]) -> int:
        """Steps of the next block; asked for while it has not begun."""

    def _refill(self, queued: list[int]) -> Iterator[tuple[int, Request]]:
        while self.waiting:
            lane = min(range(self.count), key=queued.__getitem__)
            if queued[lane] > self.steps:
                return
            request = self.waiting.popleft()
            self.waiting_steps -= request.steps
            queued[lane] += request.steps
            self.in_lane[lane].append(request)
            yield lane, request


class FixedSteps(EBatch):
    """Always the same number of steps."""

    def __init__(self, lanes: Lanes, steps: int) -> None:
        super().__init__(lanes)
        self.fixed = steps

    def choose(self, queued: Sequence[int]) -> int:
        return self.fixed


class Backlog(EBatch):
    """As many steps as there are to do for each lane, within ``least`` and ``most``.

    Blocks are short while there is little to do, for latency, and long when there is much, for
    fewer loads of weights.
    """

    def __init__(self, lanes: Lanes, least: int, most: int) -> None:
        super().__init__(lanes)
        self.least, self.most = least, most

    def choose(self, queued: Sequence[int]) -> int:
        return max(self.least, min((sum(queued) + self.waiting_steps) // self.count, self.most))


class LatencyBound(EBatch):
    """The most steps, halved until no request is expected to be done later than ``bound``.

    bound: cycles from arrival to the last output. Expected: the steps before and in a sequence, in
    blocks of that many steps and of the cycles ``costs`` gives them; for a request in no lane the
    steps of all that wait before it, shared evenly. If no number will do it is ``least``.
    """

    def __init__(self, lanes: Lanes, costs: Costs, least: int, most: int, bound: int) -> None:
        super().__init__(lanes)
        self.costs, self.least, self.most, self.bound = costs, least, most, bound

    def choose(self, queued: Sequence[int]) -> int:
        steps = self.most
        while steps > self.least:
            block = self.costs.block_cycles(steps)
            if all(
                self.lanes.now - request.arrival + ceil(ahead / steps) * block <= self.bound
                for request, ahead in self._expected(queued)
            ):
                return steps
            steps //= 2
        return self.least

    def _expected(self, queued: Sequence[int]) -> Iterator[tuple[Request, int]]:
        """Requests and the steps until each is through layer 0, those most likely late first."""
        ahead = sum(queued) + self.waiting_steps
        for request in reversed(self.waiting):
            ahead -= request.steps
            yield request, ahead // self.count + request.steps
        for left, requests in zip(queued, self.in_lane, strict=True):
            for request in reversed(requests):
                if left <= 0:
                    break
                yield request, left
                left -= request.steps


#: A policy for these lanes, whose layers cost so much; bound: of latency, in cycles.
Maker = Callable[[Lanes, Costs, int], Queue]


def least_steps(costs: Costs) -> int:
    """With fewer, the engine waits for weights."""
    return max(1, ceil(costs.ratio))


#: By the name it has in tables. MOST: steps of a block at most where a rule chooses.
MOST = 64
POLICIES: dict[str, Maker] = {
    "static padded": lambda lanes, costs, bound: Static(lanes),
    "static bucketed": lambda lanes, costs, bound: Static(lanes, bucketed=True),
    "cellular K=1": lambda lanes, costs, bound: Cellular(lanes, 1),
    "cellular K=5": lambda lanes, costs, bound: Cellular(lanes, 5),
    "blocks K=64, no concatenation": lambda lanes, costs, bound: Cellular(lanes, 64),
    "E-BATCH K=8": lambda lanes, costs, bound: FixedSteps(lanes, 8),
    "E-BATCH K=16": lambda lanes, costs, bound: FixedSteps(lanes, 16),
    "E-BATCH K=64": lambda lanes, costs, bound: FixedSteps(lanes, 64),
    "E-BATCH backlog": lambda lanes, costs, bound: Backlog(lanes, least_steps(costs), MOST),
    "E-BATCH latency bound": lambda lanes, costs, bound: LatencyBound(
        lanes, costs, least_steps(costs), MOST, bound
    ),
}
