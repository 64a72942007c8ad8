"""The parts of the cycle model that go on beside the sequencer: tokens, weights, outputs."""

from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from math import floor, inf

from hdl.ebatch.parameters import Parameters
from sim.ebatch.runtime import Event, Kind
from sim.ebatch.timing import Memory, Timing

#: A cycle that never comes. Other cycles are whole numbers.
NEVER = inf


@lru_cache(maxsize=1 << 14)
def members(mask: int) -> tuple[int, ...]:
    """The lanes whose bits are set."""
    return tuple(lane for lane in range(mask.bit_length()) if mask >> lane & 1)


class Feeder:
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
        for lane in members(mask):
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
            for lane in members(mask):
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


class Loader:
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


class DrainModel:
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

    def put(self, cycle: int, step: "Step") -> list[Event]:
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
class Step:
    """Who takes part in a step, whose sequence ends with it (lane, tag, steps), who is in whose."""

    mask: int
    starved: int
    done: list[tuple[int, int, int]]
    row: tuple[int | None, ...] = ()


@dataclass(slots=True)
class SequenceInLane:
    number: int
    tag: int
    steps: int
    left: int
