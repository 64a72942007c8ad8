"""A cycle model of the engine: what happens in which cycle, without the values.

It jumps from step to step, so that engines and loads that are beyond simulation take seconds. All
durations that a circuit may have otherwise are in ``sim.ebatch.timing``.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from hdl.ebatch.parameters import Cell, Parameters
from sim.ebatch.cycle_parts import NEVER, DrainModel, Feeder, Loader, SequenceInLane, Step, members
from sim.ebatch.runtime import Event, Kind
from sim.ebatch.timing import Memory, Timing, timing


@dataclass
class Counters:
    """As the engine's own.

    lane_steps_total: steps of blocks x lanes x layers; useful, bubble_empty (the lane is in no
    sequence), bubble_starved (it is, but has no token) are its parts. stall_weight: cycles in which
    nothing is missing but weights; stall_done: in which a step waits until outputs have room.
    w_words_dram: words loaded; w_words_sram: words of weights that the lanes multiplied by.
    """

    cycles: int = 0
    blocks: int = 0
    lane_steps_total: int = 0
    useful: int = 0
    bubble_empty: int = 0
    bubble_starved: int = 0
    layer_loads: int = 0
    w_words_dram: int = 0
    w_words_sram: int = 0
    stall_weight: int = 0
    stall_done: int = 0
    seq_done: int = 0


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """A block: the cycles in which it began and in which its last results were in.

    steps: of each step the sequence in each lane, as its place in the order of handing over; None
    is a bubble.
    """

    start: int
    end: int
    steps: list[tuple[int | None, ...]]


@dataclass(slots=True)
class _Pass:
    """Steps of a layer: the cycle each ends in, and how long it waited for the drain."""

    layer: int
    steps: list[Step]
    ends: list[int]
    stalls: list[int]


class CycleModel:
    """An engine that is called: ``sim.ebatch.runtime.Machine``.

    early_end: a block ends before its time if no lane has a token for layer 0. all_steps: the
    engine puts out every step, not only the last of each sequence. What comes out is taken at once.
    records: blocks are kept in ``blocks``, for drawing.
    Raises ValueError for an engine without completion, which it does not model.
    """

    def __init__(
        self,
        parameters: Parameters,
        memory: Memory | None = None,
        constants: Timing | None = None,
        *,
        early_end: bool = True,
        all_steps: bool = False,
        records: bool = False,
    ) -> None:
        if not parameters.completion:
            raise ValueError(f"{parameters.name} is not modelled: it has no completion")
        if parameters.descriptors:
            raise ValueError(f"{parameters.name} is not modelled: it fetches its tokens itself")
        self.parameters = parameters
        self.timing = constants or timing(parameters)
        self.now = 0
        #: Of closed blocks: tokens used up, and lane-steps of layer 0, of those lanes alone that
        #: had a token in at least one step of their block.
        self.taken_steps = 0
        self.occupied_steps = 0
        self.blocks: list[BlockRecord] = []
        self._early_end = early_end
        self._records = records
        self._counters = Counters()
        self._feeder = Feeder(parameters, self.timing)
        self._loader = Loader(parameters, self.timing, memory or Memory())
        self._drain = DrainModel(parameters, self.timing, all_steps)
        # From the end of a part to all its results: it may end after its last word.
        idle = parameters.part_cycles(parameters.hidden_size)
        idle -= parameters.hidden_size // parameters.width
        self._results = max(0, self.timing.result - idle)
        layers = range(parameters.layers)
        self._costs = [self._step_cycles(layer) for layer in layers]
        # A step reads the outputs of the one before when its first part, of inputs, is over.
        self._reads = [
            self.timing.step + parameters.part_cycles(parameters.inputs(layer)) for layer in layers
        ]
        self._words = [parameters.weight_words(layer) for layer in layers]
        self._queued = [0] * parameters.lanes
        self._sequences: list[deque[SequenceInLane]] = [deque() for _ in range(parameters.lanes)]
        self._handed = 0
        self._inside = 0  # lanes whose sequence has begun and not ended
        self._events: list[tuple[int, int, Event]] = []
        self._told = 0
        self._steps_writes: deque[tuple[int, int]] = deque()
        self._steps = 1
        self._set_at = 0
        self._run_writes: deque[tuple[int, bool]] = deque()
        self._run = False
        self._written = 0
        self._pass = 0  # how many passes there were
        self._ready = 0  # from when on the results of the last one are in
        self._current: _Pass | None = None  # not yet in the counters
        self._waits = False
        self._engine = self._blocks()
        self._next = next(self._engine)

    def queued(self, lane: int) -> int:
        """Steps handed to the lane that layer 0 has not used up."""
        return self._queued[lane]

    def submit(self, lane: int, tag: int, steps: int) -> None:
        """A whole sequence for a lane. Raises ValueError for what no engine would take."""
        if steps < 1:
            raise ValueError(f"{steps} steps; a sequence needs at least 1")
        if not 0 <= tag < 1 << self.parameters.tag_bits:
            raise ValueError(f"tag {tag} does not fit {self.parameters.tag_bits} bits")
        self._queued[lane] += steps
        self._sequences[lane].append(SequenceInLane(self._handed, tag, steps, steps))
        self._handed += 1
        self._feeder.submit(self.now, lane, tag, steps)

    def set_steps(self, steps: int) -> None:
        """Steps of the blocks that begin from now on. Raises ValueError beyond ``max_steps``."""
        if not 1 <= steps <= self.parameters.max_steps:
            raise ValueError(f"{steps} steps; allowed are 1 to {self.parameters.max_steps}")
        self._steps_writes.append((self._set(), steps))

    def set_run(self, run: bool) -> None:
        """Whether further blocks may begin; at first they may not."""
        self._run_writes.append((self._set(), run))

    def _set(self) -> int:
        """The cycle from which on a setting counts that is made now."""
        self._set_at = max(self._set_at + 1, self.now + self.timing.control)
        return self._set_at

    def _write(self) -> int:
        """When a register has its new value: one is written a cycle."""
        self._written = max(self.now + self.timing.control, self._written + 1)
        return self._written

    def advance(self, until: int | None = None) -> list[Event]:
        """See ``sim.ebatch.runtime.Machine``.

        If nothing will ever happen ``now`` is when the last token came in.
        """
        last = NEVER if until is None else until
        if self._waits:
            self._next = next(self._engine)
        while self.now < last:
            horizon = min(last, self._next, self._events[0][0] if self._events else NEVER)
            if fed := self._feeder.advance(horizon):
                cycle, lane, tag, steps = fed
                self._tell(Event(Kind.LANE_FED, cycle + self.timing.fed, lane, tag, steps))
                self._move(cycle)
            elif horizon == NEVER:
                self._move(max(self.now, self._feeder.quiet))
                return []
            else:
                self._move(int(horizon))
            while self._next <= self.now:
                self._next = next(self._engine)
            if events := self._happened():
                return events
        return self._happened()

    def counters(self) -> Counters:
        """Up to now. A step counts for a layer when its last part is over."""
        found = replace(self._counters, cycles=self.now)
        found.layer_loads, found.w_words_dram = self._loader.progress(self.now)
        if self._current:
            self._count(found, self._current, bisect_right(self._current.ends, self.now))
        return found

    def _move(self, cycle: int) -> None:
        """Time goes on."""
        self.now = cycle
        if self._waits:
            # A token more may be what was waited for.
            self._next = next(self._engine)

    def _tell(self, event: Event) -> None:
        self._told += 1
        heappush(self._events, (event.cycle, self._told, event))

    def _happened(self) -> list[Event]:
        events = []
        while self._events and self._events[0][0] <= self.now:
            event = heappop(self._events)[2]
            self._counters.seq_done += event.kind is Kind.SEQUENCE_DONE
            events.append(event)
        return events

    def _step_cycles(self, layer: int) -> int:
        """From looking at the lanes to the end of the step, if the step before is long over."""
        p = self.parameters
        cycles = self.timing.step + p.step_cycles(layer)
        if p.cell is Cell.GRU_RESET_BEFORE:
            # The second phase may have to wait for the first one.
            between = 2 * p.part_cycles(p.inputs(layer)) + p.part_cycles(p.hidden_size)
            cycles += max(0, self._results - between)
        return cycles

    def _step_end(self, done: _Pass, start: int) -> int:
        """Where a step ends that looks at the lanes in ``start``."""
        end = start + self._costs[done.layer]
        if done.ends:
            end += max(0, done.ends[-1] + self._results - start - self._reads[done.layer])
        return end

    # The sequencer. Its generators give the cycle in which they go on.

    def _blocks(self) -> Iterator[float]:
        while True:
            yield from self._wait_for_block()
            start = self.now
            steps: list[Step] = []
            yield from self._lowest_layer(steps)
            for layer in range(1, self.parameters.layers):
                yield from self._upper_layer(layer, steps)
            self._counters.blocks += 1
            if self._records:
                self.blocks.append(BlockRecord(start, self.now, [step.row for step in steps]))

    def _wait_for_block(self) -> Iterator[float]:
        """Until nothing is missing. What is given may change with all that is done meanwhile."""
        self._waits = True
        while True:
            others = max(self._ready, self._feeder.first_token())
            start = self._run_from(max(others, self._loader.resident(self._pass)))
            if start <= self.now:
                break
            yield start
        self._waits = False
        # In each of these cycles nothing was missing but weights, or it would have begun.
        self._counters.stall_weight += self._run_cycles(int(others), self.now)
        while self._run_writes and self._run_writes[0][0] <= self.now:
            self._run = self._run_writes.popleft()[1]

    def _run_from(self, cycle: float) -> float:
        """The first cycle from this one on in which blocks may begin."""
        run = self._run
        for at, value in self._run_writes:
            if run and at > cycle:
                break
            cycle, run = max(cycle, at if value else cycle), value
        return cycle if run else NEVER

    def _run_cycles(self, start: int, end: int) -> int:
        """In how many cycles from ``start`` to before ``end`` blocks may begin."""
        cycles, run = 0, self._run
        for at, value in [*self._run_writes, (end, False)]:
            at = min(max(at, start), end)
            cycles += run * (at - start)
            start, run = at, value
        return cycles

    def _lowest_layer(self, steps: list[Step]) -> Iterator[float]:
        """A pass of layer 0, step by step, as tokens come."""
        while self._steps_writes and self._steps_writes[0][0] <= self.now:
            self._steps = self._steps_writes.popleft()[1]
        wanted = self._steps
        self._tell(Event(Kind.BLOCK_OPENED, self.now + self.timing.opened, steps=wanted))
        is_last_layer = self.parameters.layers == 1
        cycle = self.now + self.timing.block
        self._current = done = _Pass(0, steps, [], [])
        occupied = 0
        closed = self.timing.closed
        while len(steps) < wanted:
            if cycle > self.now:
                yield cycle
            if steps and self._early_end and not self._feeder.mask:
                closed += 1  # it took a look to find out
                break
            done.stalls.append(max(0, self._drain.room - cycle) if is_last_layer else 0)
            if done.stalls[-1]:
                yield (cycle := self._drain.room)
            step = self._sample()
            yield (cycle := self._step_end(done, cycle))
            self._use(step, cycle)
            occupied |= step.mask
            steps.append(step)
            done.ends.append(cycle)
            if is_last_layer:
                self._put_out(step, cycle)
        self.taken_steps += sum(step.mask.bit_count() for step in steps)
        self.occupied_steps += occupied.bit_count() * len(steps)
        self._tell(Event(Kind.BLOCK_CLOSED, cycle + closed, steps=len(steps)))
        yield from self._end_pass(done, cycle)

    def _upper_layer(self, layer: int, steps: list[Step]) -> Iterator[float]:
        """A pass of another layer, which nothing from outside can change, as a whole."""
        resident = self._loader.resident(self._pass)
        if resident > self.now:
            self._counters.stall_weight += resident - self.now
            yield resident
        cycle = self.now + self.timing.pass_
        self._current = done = _Pass(layer, steps, [], [])
        is_last_layer = layer == self.parameters.layers - 1
        for step in steps:
            start = max(cycle, self._drain.room) if is_last_layer else cycle
            done.stalls.append(start - cycle)
            cycle = self._step_end(done, start)
            done.ends.append(cycle)
            if is_last_layer:
                self._put_out(step, cycle)
        yield from self._end_pass(done, cycle)

    def _end_pass(self, done: _Pass, cycle: int) -> Iterator[float]:
        """The parts of a layer are over; its results come in."""
        self._ready = cycle + self._results + self.timing.drained
        self._loader.release(self._pass, self._ready)
        self._pass += 1
        yield self._ready
        self._count(self._counters, done, len(done.steps))
        self._current = None

    def _sample(self) -> Step:
        """Who takes part in a step that begins now."""
        mask = self._feeder.mask
        step = Step(mask, (self._inside & ~mask).bit_count(), [])
        if self._records:
            step.row = tuple(
                queue[0].number if mask >> lane & 1 else None
                for lane, queue in enumerate(self._sequences)
            )
        return step

    def _use(self, step: Step, cycle: int) -> None:
        """The tokens of a step are used up; sequences may end with it."""
        queued, sequences = self._queued, self._sequences
        self._inside |= step.mask
        for lane in members(step.mask):
            queued[lane] -= 1
            sequence = sequences[lane][0]
            sequence.left -= 1
            if not sequence.left:
                sequences[lane].popleft()
                self._inside ^= 1 << lane
                done = (lane, sequence.tag, sequence.steps)
                step.done.append(done)
                self._tell(Event(Kind.LANE_ROOM, cycle + self.timing.lane_room, *done))
        self._feeder.use(cycle, step.mask)

    def _put_out(self, step: Step, cycle: int) -> None:
        """The last layer is through with a step."""
        for event in self._drain.put(cycle + self._results, step):
            self._tell(event)

    def _count(self, counters: Counters, done: _Pass, steps: int) -> None:
        """The first steps of a pass."""
        lanes = self.parameters.lanes
        for step, stall in zip(done.steps[:steps], done.stalls, strict=False):
            useful = step.mask.bit_count()
            counters.useful += useful
            counters.bubble_starved += step.starved
            counters.bubble_empty += lanes - useful - step.starved
            counters.stall_done += stall
        counters.lane_steps_total += lanes * steps
        counters.w_words_sram += self._words[done.layer] * steps
