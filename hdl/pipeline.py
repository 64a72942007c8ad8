"""Pipelines: functions from bundle to bundle, with registers between them where they are wanted.

A datapath is a list of stages, functions that take a bundle of named values and return the next
one. ``run_stages`` applies them and puts ranks of registers between; ``Handshake`` moves the ranks
so that any pattern of bubbles and stalls is tolerated.
"""

from collections.abc import Callable, Mapping, Sequence

from amaranth.hdl import Const, Module, Mux, Signal, Value

from hdl.wire import wire

Bundle = Mapping[str, Value]
Stage = Callable[[Module, Bundle], Bundle]


def ranks_after(stages: int, depth: int) -> list[int]:
    """Ranks of registers behind each stage: spread evenly, the last one behind the last stage."""
    ends = [-(-(rank + 1) * stages // depth) for rank in range(depth)]
    return [ends.count(stage + 1) for stage in range(stages)]


def run_stages(
    m: Module, stages: Sequence[Stage], bundle: Bundle, enables: Value, name: str
) -> Bundle:
    """Apply the stages to a bundle, with one rank of registers for each bit of ``enables``.

    Rank k takes new values in cycles in which ``enables[k]`` is high. Registers are not reset.
    """
    rank = 0
    for stage, ranks in zip(stages, ranks_after(len(stages), len(enables)), strict=True):
        bundle = {key: wire(m, value, f"{name}_{key}") for key, value in stage(m, bundle).items()}
        for _ in range(ranks):
            bundle = {
                key: hold(m, value, enables[rank : rank + 1], f"{name}_{key}_{rank}")
                for key, value in bundle.items()
            }
            rank += 1
    return bundle


def without(bundle: Bundle, *keys: str) -> dict[str, Value]:
    """What is left of a bundle when a stage has used up ``keys``."""
    return {key: value for key, value in bundle.items() if key not in keys}


def hold(m: Module, value: Value, enables: Value, name: str) -> Value:
    """``value`` behind one rank of registers for each bit of ``enables``, not reset."""
    for rank, enable in enumerate(enables):
        register = Signal(len(value), name=f"{name}_{rank}", reset_less=True)
        with m.If(enable):
            m.d.sync += register.eq(value)
        value = register
    return value


class Handshake:
    """Valid and ready through ``depth`` ranks of registers, none of which waits without need.

    enables: one bit a rank, to clock its registers. occupied: of each rank, whether it holds
    something. valid: of the last rank. ready: to the source. busy: something is inside. Latency
    ``depth`` cycles, one transfer a cycle; with depth 0 everything is combinational. ``flush``
    empties all ranks.
    """

    def __init__(
        self, m: Module, depth: int, valid: Value, ready: Value, flush: Value, name: str
    ) -> None:
        self.occupied = [Signal(name=f"{name}_valid_{rank}") for rank in range(depth)]
        occupied = self.occupied
        self.enables = Signal(depth, name=f"{name}_enables")
        moves: Value = ready
        for rank in reversed(range(depth)):
            moves = ~occupied[rank] | moves
            m.d.comb += self.enables[rank].eq(moves)
            incoming = occupied[rank - 1] if rank else valid
            with m.If(self.enables[rank]):
                m.d.sync += occupied[rank].eq(incoming)
            with m.If(flush):
                m.d.sync += occupied[rank].eq(0)
        self.ready = self.enables[0] if depth else ready
        self.valid: Value = occupied[-1] if depth else valid
        self.busy: Value = Const(0, 1)
        for bit in occupied:
            self.busy = self.busy | bit


class RegisterSlice:
    """One rank of registers behind which ready is a register too: it cuts paths both ways.

    payload, valid: of the rank. ready: to the source. Latency 1 cycle, one transfer a cycle; a
    second rank holds what comes in the cycle in which the sink stops.
    """

    def __init__(self, m: Module, payload: Value, valid: Value, ready: Value, name: str) -> None:
        self.payload = Signal(len(payload), name=f"{name}_payload", reset_less=True)
        self.valid = Signal(name=f"{name}_valid")
        waiting = Signal(len(payload), name=f"{name}_waiting", reset_less=True)
        is_waiting = Signal(name=f"{name}_is_waiting")
        self.ready = ~is_waiting
        with m.If(self.ready):
            m.d.sync += waiting.eq(payload)
        with m.If(ready | ~self.valid):
            m.d.sync += [
                self.payload.eq(Mux(is_waiting, waiting, payload)),
                self.valid.eq(is_waiting | valid),
                is_waiting.eq(0),
            ]
        with m.Elif(valid):
            m.d.sync += is_waiting.eq(1)
