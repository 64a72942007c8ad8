"""Makes one number of several words, over as many cycles as the width of its adders asks for."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Value

from hdl.compressor import DotDiagram
from hdl.delay import delay
from hdl.ent.parameters import Parameters


def resolve_latency(parameters: Parameters, words: int) -> int:
    """Cycles from so many words to their number, which no register holds yet."""
    return 0 if words == 1 else -(-parameters.accumulator_bits // parameters.segment) - 1


def resolve(m: Module, platform: object, p: Parameters, words: Sequence[Value]) -> Value:
    """Sum of the words, modulo ``2**accumulator_bits``, ``resolve_latency`` cycles later.

    A segment is added each cycle, the lowest first; one sum a cycle. The highest is there in the
    cycle in which it is added. Nothing is reset.
    """
    if len(words) == 1:
        return words[0]
    if len(words) > 2:
        dots = DotDiagram(p.accumulator_bits)
        for word in words:
            dots.add_word(word)
        words = dots.rows(m, platform)
    carry: Value | None = None
    ready: list[Value] = []
    for stage, low in enumerate(range(0, p.accumulator_bits, p.segment)):
        bits = min(p.segment, p.accumulator_bits - low)
        dots = DotDiagram(bits + 1)
        for word in words:
            dots.add_word(word[:bits])
        if carry is not None:
            dots.add_bit(carry, 0)
        total = dots.sum(m, platform, f"part_{stage}")
        if low + bits == p.accumulator_bits:
            ready.append(total[:-1])
            break
        part = delay(m, total, 1, name=f"part_{stage}")
        carry = part[-1]
        ready = [delay(m, each, 1, name=f"ready_{stage}_{at}") for at, each in enumerate(ready)]
        ready.append(part[:-1])
        words = [
            delay(m, word[bits:], 1, name=f"waiting_{stage}_{at}") for at, word in enumerate(words)
        ]
    return Cat(*ready)
