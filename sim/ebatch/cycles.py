"""A cycle model of the engine: what happens in which cycle, without the values.

It jumps from step to step, so that engines and loads that are beyond simulation take seconds. All
durations that a circuit may have otherwise are in ``Timing``.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from heapq import heappop, heappush
from math import ceil, floor, inf

from hdl.ebatch.parameters import Cell, Parameters
from hdl.ebatch.results import result_latency
from sim.ebatch.runtime import Costs, Event, Kind

#: A cycle that never comes. Other cycles are whole numbers.
NEVER = inf


@dataclass(frozen=True)
class Timing:
    """Cycles between two things that follow each other in the engine.

    block: from the cycle in which nothing is missing any more for a block to its first step. pass_:
    the same of a pass (a layer in a block). drained: from all results of a pass to what may follow,
    the load of other weights included. step: from the cycle that looks at
    the lanes to the one that reads the first word of weights. result: from the cycle behind the
    last word of a part to the one from which on what waits for its results may go on.
    load: what a load takes beyond the memory's time.
    drain_step, drain_lane, drain_output, drain_beat, drain_event, drain_end: the outputs of a step
    on their way out: before the first lane, for each lane, for each output that is sent, for each
    beat of it, for each sequence that ends, and behind the last lane.
    submit: from handing over to the first beat, at least. token: from the last beat of a token to
    the cycle that may sample it. token_gap: between two tokens. room: from a token's use to the
    first beat that takes its place. control: from setting run or steps to its effect; one of them
    is set in a cycle, so the second one of two takes one more.
    fed, lane_room, opened, closed, done: from what is told to the event that tells it.
    """

    block: int
    pass_: int
    drained: int
    step: int
    result: int
    load: int
    drain_step: int
    drain_lane: int
    drain_output: int
    drain_beat: int
    drain_event: int
    drain_end: int
    submit: int
    token: int
    token_gap: int
    room: int
    control: int
    fed: int
    lane_room: int
    opened: int
    closed: int
    done: int


def timing(parameters: Parameters) -> Timing:
    """That of the circuit with these parameters."""
    return Timing(
        block=1,
        pass_=1,
        drained=1,
        step=2,
        result=result_latency(parameters) - 1,
        load=1,
        drain_step=2,
        drain_lane=1,
        drain_output=1,
        drain_beat=1,
        drain_event=1,
        drain_end=1,
        submit=1,
        token=1,
        token_gap=0,
        room=1,
        control=1,
        fed=0,
        lane_room=0,
        opened=1,
        closed=0,
        done=2,
    )


@dataclass(frozen=True)
class Memory:
    """Where weights come from: cycles to the first word of a layer, and for each word, at least 1.

    A word is as wide as the engine's buses.
    """

    latency: int = 0
    cycles_per_word: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        if self.latency < 0 or self.cycles_per_word < 1:
            raise ValueError(
                f"latency {self.latency}, {self.cycles_per_word} cycles a word; "
                "allowed are 0 and more, 1 and more"
            )

    def load_cycles(self, words: int) -> int:
        return self.latency + ceil(words * self.cycles_per_word)

    @classmethod
    def for_ratio(
        cls, parameters: Parameters, timing: Timing, ratio: Fraction | int, latency: int = 0
    ) -> "Memory":
        """One that takes exactly ``ratio`` times as long to load a layer as a step of it takes.

        Raises ValueError if the product is no whole number of cycles, or if a word a cycle is too
        slow. Other layers than the second may have a different ratio, if their inputs have.
        """
        layer = min(1, parameters.layers - 1)
        cycles = Fraction(ratio) * parameters.step_cycles(layer)
        if cycles.denominator != 1:
            raise ValueError(f"{ratio} steps are {cycles} cycles, which is no whole number")
        words = parameters.load_words(layer)
        return cls(latency, (cycles - timing.load - latency) / words)


def costs(parameters: Parameters, timing: Timing, memory: Memory) -> Costs:
    """What a layer costs, for policies that go by it."""
    layers = range(parameters.layers)
    stays = parameters.layers <= parameters.weight_buffers
    return Costs(
        tuple(parameters.step_cycles(layer) for layer in layers),
        tuple(
            0 if stays else timing.load + memory.load_cycles(parameters.load_words(layer))
            for layer in layers
        ),
    )


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


@lru_cache(maxsize=1 << 14)
def _members(mask: int) -> tuple[int, ...]:
    """The lanes whose bits are set."""
    return tuple(lane for lane in range(mask.bit_length()) if mask >> lane & 1)


class _Feeder:
    """The token stream and the lanes' stores of tokens.

    Lanes that have a token waiting and room take turns, a token each. ``advance`` must be called
    in the order of time; what is done to it in a cycle concerns tokens that start no earlier.
    """

    def __init__(self, parameters: Parameters, timing: Timing) -> None:
        lanes = range(parameters.lanes)
        self._depth = parameters.token_depth
        beats = parameters.input_size // parameters.width
        self._period = beats + timing.token_gap
        self._token = beats - 1 + timing.token
        self._room = timing.room
        self._submit = timing.submit
        self._waiting = [0 for _ in lanes]  # tokens that are outside
        self._starts: list[deque[tuple[int, int, int]]] = [deque() for _ in lanes]
        self._sent = [0 for _ in lanes]
        self._handed = [0 for _ in lanes]
        self._held = [0 for _ in lanes]  # tokens that take up room
        self._eligible = 0  # lanes that have a token waiting and room
        self._last = parameters.lanes - 1
        self._free_at = 0
        self._changes: deque[tuple[int, int]] = deque()  # cycle, lanes that get room
        self._submissions: deque[tuple[int, int, int]] = deque()  # cycle, lane, steps
        self._coming: tuple[int, int] | None = None  # cycle, lane of the token under way
        self.present = [0 for _ in lanes]  # whole tokens
        self.mask = 0  # lanes with whole tokens
        self._since = 0  # the cycle from which on there have always been some
        self.quiet = 0  # when the last token became whole

    def submit(self, cycle: int, lane: int, tag: int, steps: int) -> None:
        self._submissions.append((cycle + self._submit, lane, steps))
        self._starts[lane].append((self._handed[lane], tag, steps))
        self._handed[lane] += steps

    def use(self, cycle: int, mask: int) -> None:
        """A whole token of each of these lanes."""
        present = self.present
        for lane in _members(mask):
            present[lane] -= 1
            if not present[lane]:
                self.mask ^= 1 << lane
        self._changes.append((cycle + self._room, mask))

    def first_token(self) -> float:
        """Since when or from when on a lane has a whole token, if nothing else is handed over."""
        if self.mask:
            return self._since
        if self._coming:
            return self._coming[0]
        if self._eligible:
            return self._free_at + self._token
        change = min(
            self._submissions[0][0] if self._submissions else NEVER,
            self._changes[0][0] if self._changes and any(self._waiting) else NEVER,
        )
        return max(change, self._free_at) + self._token

    def advance(self, until: float) -> tuple[int, int, int, int] | None:
        """Everything before ``until``, and tokens that are whole by then.

        Stops when the first token of a sequence is whole: its cycle, lane, tag and steps.
        """
        while True:
            if self._coming:
                cycle, lane = self._coming
                if cycle > until:
                    return None
                self._coming = None
                if not self.mask:
                    self._since = cycle
                self.quiet = cycle
                self.present[lane] += 1
                self.mask |= 1 << lane
                starts = self._starts[lane]
                self._sent[lane] += 1
                if starts and starts[0][0] == self._sent[lane] - 1:
                    return cycle, lane, *starts.popleft()[1:]
            self._change(self._free_at)
            if not self._eligible:
                change = min(
                    self._submissions[0][0] if self._submissions else NEVER,
                    self._changes[0][0] if self._changes else NEVER,
                )
                if change >= until:
                    return None
                self._free_at = max(self._free_at, int(change))
                continue
            if self._free_at >= until:
                return None
            self._send()

    def _change(self, cycle: int) -> None:
        """What has changed by this cycle."""
        while self._submissions and self._submissions[0][0] <= cycle:
            _, lane, steps = self._submissions.popleft()
            self._waiting[lane] += steps
            if self._held[lane] < self._depth:
                self._eligible |= 1 << lane
        while self._changes and self._changes[0][0] <= cycle:
            _, mask = self._changes.popleft()
            held, waiting = self._held, self._waiting
            for lane in _members(mask):
                held[lane] -= 1
                if waiting[lane]:
                    self._eligible |= 1 << lane

    def _send(self) -> None:
        """The next token: of the next lane in turn that can send one."""
        behind = self._eligible >> (self._last + 1)
        if behind:
            lane = self._last + (behind & -behind).bit_length()
        else:
            lane = (self._eligible & -self._eligible).bit_length() - 1
        self._last = lane
        self._waiting[lane] -= 1
        self._held[lane] += 1
        if not self._waiting[lane] or self._held[lane] == self._depth:
            self._eligible ^= 1 << lane
        self._coming = (self._free_at + self._token, lane)
        self._free_at += self._period


class _Loader:
    """Brings in the layers' weights in turn, as many ahead as there are buffers."""

    def __init__(self, parameters: Parameters, timing: Timing, memory: Memory) -> None:
        self._layers = parameters.layers
        self._buffers = parameters.weight_buffers
        self._words = [parameters.load_words(layer) for layer in range(self._layers)]
        self._cycles = [timing.load + memory.load_cycles(words) for words in self._words]
        self._lead = timing.load + memory.latency
        self._pace = memory.cycles_per_word
        self._stays = self._layers <= self._buffers
        self._ends: list[int] = []  # of each load, the last ones only
        self._dropped = 0
        self._complete = 0
        self._complete_words = 0
        for _ in range(min(self._layers, self._buffers)):
            self._load(0)

    def _load(self, free: int) -> None:
        before = self._ends[-1] if self._ends else 0
        layer = (self._dropped + len(self._ends)) % self._layers
        self._ends.append(max(before, free) + self._cycles[layer])

    def resident(self, number: int) -> int:
        """From when on the weights are there for the pass with this number."""
        return self._ends[number % self._layers if self._stays else number - self._dropped]

    def release(self, number: int, cycle: int) -> None:
        """The pass with this number is through with its weights."""
        if self._stays:
            return
        self._load(cycle)
        # Loads that passes are through with are complete, and nobody asks for them again.
        if number - self._dropped >= 8:
            for _ in range(4):
                self._complete_words += self._words[self._dropped % self._layers]
                self._dropped += 1
            del self._ends[:4]

    def progress(self, now: int) -> tuple[int, int]:
        """Layers and words that have come in by now."""
        loads, words = self._dropped, self._complete_words
        for at, end in enumerate(self._ends):
            layer = (self._dropped + at) % self._layers
            if end <= now:
                loads += 1
                words += self._words[layer]
            elif (since := now - (end - self._cycles[layer]) - self._lead) > 0:
                words += min(self._words[layer], floor(since / self._pace))
        return loads, words


class _Drain:
    """Outputs of the last layer on their way out, a step at a time; two may be on it."""

    def __init__(self, parameters: Parameters, timing: Timing, all_steps: bool) -> None:
        self._lanes = parameters.lanes
        self._timing = timing
        beats = parameters.hidden_size // parameters.width
        self._output = timing.drain_output + beats * timing.drain_beat
        self._all_steps = all_steps
        self._ends: deque[int] = deque([0, 0], maxlen=2)

    @property
    def room(self) -> int:
        """The cycle from which the outputs of a further step may come."""
        return self._ends[0]

    def put(self, cycle: int, step: "_Step") -> list[Event]:
        """The outputs of a step are all there in ``cycle``."""
        timing, events = self._timing, []
        start = max(cycle, self._ends[1]) + timing.drain_step
        for count, (lane, tag, steps) in enumerate(step.done, 1):
            sent = (step.mask & (2 << lane) - 1).bit_count() if self._all_steps else count
            done = start + (lane + 1) * timing.drain_lane
            done += sent * self._output + count * timing.drain_event + timing.done
            events.append(Event(Kind.SEQUENCE_DONE, done, lane, tag, steps))
        sent = step.mask.bit_count() if self._all_steps else len(step.done)
        end = start + self._lanes * timing.drain_lane + timing.drain_end
        self._ends.append(end + sent * self._output + len(step.done) * timing.drain_event)
        return events


@dataclass(slots=True)
class _Step:
    """Who takes part in a step, whose sequence ends with it (lane, tag, steps), who is in whose."""

    mask: int
    starved: int
    done: list[tuple[int, int, int]]
    row: tuple[int | None, ...] = ()


@dataclass(slots=True)
class _Sequence:
    number: int
    tag: int
    steps: int
    left: int


@dataclass(slots=True)
class _Pass:
    """Steps of a layer: the cycle each ends in, and how long it waited for the drain."""

    layer: int
    steps: list[_Step]
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
        self._feeder = _Feeder(parameters, self.timing)
        self._loader = _Loader(parameters, self.timing, memory or Memory())
        self._drain = _Drain(parameters, self.timing, all_steps)
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
        self._sequences: list[deque[_Sequence]] = [deque() for _ in range(parameters.lanes)]
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
        self._sequences[lane].append(_Sequence(self._handed, tag, steps, steps))
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
            steps: list[_Step] = []
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

    def _lowest_layer(self, steps: list[_Step]) -> Iterator[float]:
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

    def _upper_layer(self, layer: int, steps: list[_Step]) -> Iterator[float]:
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

    def _sample(self) -> _Step:
        """Who takes part in a step that begins now."""
        mask = self._feeder.mask
        step = _Step(mask, (self._inside & ~mask).bit_count(), [])
        if self._records:
            step.row = tuple(
                queue[0].number if mask >> lane & 1 else None
                for lane, queue in enumerate(self._sequences)
            )
        return step

    def _use(self, step: _Step, cycle: int) -> None:
        """The tokens of a step are used up; sequences may end with it."""
        queued, sequences = self._queued, self._sequences
        self._inside |= step.mask
        for lane in _members(step.mask):
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

    def _put_out(self, step: _Step, cycle: int) -> None:
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
