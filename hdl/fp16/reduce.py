"""Reductions by a pairwise tree of additions, or of choices of an extreme."""

from amaranth.hdl import Cat, Const, Module, Mux, Value

from hdl.export import place
from hdl.fp16.add import Addition
from hdl.fp16.compare import select_extreme
from hdl.fp16.format import Format
from hdl.fp16.operation import Mode
from hdl.pipeline import Bundle, Stage
from hdl.wire import wire


def neutral_value(format: Format, mode: Value, is_sum: Value) -> Value:
    """What stands for an operand that takes no part: -0, in RDN +0, or for extremes NaN."""
    zero = Cat(Const(0, format.width - 1), mode != Mode.RDN.value)
    return Mux(is_sum, zero, format.canonical_nan)


def reduction_stages(format: Format, count: int, platform: object) -> list[Stage]:
    """The levels of a tree over ``count`` values; neighbours (0, 1), (2, 3), … come first.

    Bundles in: value_0 and so on, flags (zero), mode, is_sum (otherwise it is an extreme) and
    is_maximum. At the end value_0 is the result, and flags are those of all nodes.

    A tree is padded with neutral values to a power of two. Only in the first level does that
    take a node, for a last value without a neighbour: NaNs become the canonical one there, and
    signalling ones are noticed. Further nodes of that kind would change nothing.
    """
    levels = max(1, (count - 1).bit_length())
    return [_Level(format, number, count, platform).apply for number in range(levels)]


class _Level:
    def __init__(self, format: Format, number: int, count: int, platform: object) -> None:
        self.format = format
        self.number = number
        self.inputs = -(-count // (1 << number))
        self.platform = platform

    def apply(self, m: Module, inputs: Bundle) -> Bundle:
        mode, is_sum = inputs["mode"], inputs["is_sum"]
        values = [inputs[f"value_{k}"] for k in range(self.inputs)]
        if self.number == 0 and len(values) % 2:
            values.append(wire(m, neutral_value(self.format, mode, is_sum), "neutral"))
        outputs = {key: inputs[key] for key in ("flags", "mode", "is_sum", "is_maximum")}
        for k in range(0, len(values) - 1, 2):
            value, flags = self._combine(m, values[k], values[k + 1], inputs, k // 2)
            outputs[f"value_{k // 2}"] = value
            outputs["flags"] = outputs["flags"] | flags
        if len(values) % 2:
            outputs[f"value_{len(values) // 2}"] = values[-1]
        return outputs

    def _combine(
        self, m: Module, a: Value, b: Value, inputs: Bundle, index: int
    ) -> tuple[Value, Value]:
        name = f"node_{self.number}_{index}"
        addition = place(self.platform, Addition, self.format)
        m.submodules[name] = addition
        m.d.comb += [addition.a.eq(a), addition.b.eq(b), addition.mode.eq(inputs["mode"])]
        extreme, invalid = select_extreme(m, a, b, self.format, inputs["is_maximum"], name)
        value = wire(m, Mux(inputs["is_sum"], addition.result, extreme), f"{name}_value")
        flags = Mux(inputs["is_sum"], addition.flags.as_value(), Cat(Const(0, 4), invalid))
        return value, wire(m, flags, f"{name}_flags")
