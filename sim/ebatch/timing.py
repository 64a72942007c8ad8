"""Durations in the engine that the cycle model takes for granted, and what layers cost by them."""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from hdl.ebatch.parameters import Parameters
from hdl.ebatch.results import result_latency
from sim.ebatch.runtime import Costs


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
