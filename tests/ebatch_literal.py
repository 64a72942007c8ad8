"""An E-BATCH layer read literally: one unit and one number at a time, in Python's integers.

``Literal.step`` is one step of a lane. ``first`` says that a sequence begins: that is all a lane
needs to take one sequence after another. Nothing here is of the golden model but its settings.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from golden.ebatch import Gate, Layer
from golden.ebatch_requantise import Scale

#: Entries that are one more than the nearest integer to 65536 sigmoid(i / 24).
ONE_MORE = """
4 8 12 14 15 16 17 19 20 21 22 25 27 28 29 30 31 33 34 35 37 39 40 41 43 44 45 46 49 50 54 62 63 64
66 82 86 93 100 103 112 116 135 255
"""
T = [math.floor(65536 / (1 + math.exp(-i / 24)) + 0.5) for i in range(256)]
for entry in ONE_MORE.split():
    T[int(entry)] += 1


def high_mul(v: int, m: int) -> int:
    return (v * m + 2**30) >> 31


def shift_right(v: int, n: int) -> int:
    """Half away from zero."""
    if n == 0:
        return v
    threshold = 2 ** (n - 1) - 1
    if v < 0:
        threshold += 1
    result = v >> n
    if v % 2**n > threshold:
        result += 1
    return result


def requant(v: int, m: int, s: int) -> int:
    left = s if s > 0 else 0
    right = -s if s < 0 else 0
    assert -(2**31) <= v * 2**left < 2**31
    return shift_right(high_mul(v * 2**left, m), right)


def sat(v: int, bits: int) -> int:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    if v < low:
        return low
    if v > high:
        return high
    return v


def scaled_input(x: int, s: int) -> int:
    if s >= 0:
        return x * 3 * 2**s
    return (x * 3 + 2 ** (-s - 1)) >> -s


def sigmoid(x: int, s: int = 0) -> int:
    y = scaled_input(x, s)
    a = y if y >= 0 else -y
    u = a >> 9
    r = 0x7FFF << 10 if u >= 255 else (T[u] << 9) + (a & 511) * (T[u + 1] - T[u])
    return (r + 2**9) >> 10 if y >= 0 else (2**25 - r + 2**9 - 1) >> 10


def tanh(x: int, s: int = 0) -> int:
    y = scaled_input(x, s)
    a = y if y >= 0 else -y
    u = a >> 8
    r = 0xFFFF << 8 if u >= 255 else (T[u] << 8) + (a & 255) * (T[u + 1] - T[u])
    return (r - 2**23 + 2**7) >> 8 if y >= 0 else (-r + 2**23 + 2**7 - 1) >> 8


def dot(row: Sequence[int], column: Sequence[int], bias: int) -> int:
    """A sum, no partial sum of which exceeds int32."""
    total = bias
    for a, b in zip(row, column, strict=True):
        total += a * b
        assert -(2**31) <= total < 2**31
    return total


class Part:
    """One of the two sums of a gate."""

    def __init__(self, gate: Gate, which: str) -> None:
        self.weights: list[list[int]] = getattr(gate, f"{which}_weights").tolist()
        self.bias: list[int] = getattr(gate, f"{which}_bias").tolist()
        self.scale: Scale = getattr(gate, f"{which}_scale")

    def unit(self, unit: int, values: Sequence[int]) -> int:
        total = dot(self.weights[unit], values, self.bias[unit])
        return requant(total, self.scale.multiplier, self.scale.shift)


@dataclass
class Step:
    """Of one step, lists of a number for each unit."""

    pre: dict[str, list[int]] = field(default_factory=dict)
    gates: dict[str, list[int]] = field(default_factory=dict)
    cells: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)


class Literal:
    """One lane of a layer. Its state is what the step before left, until a sequence begins."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.w = {name: Part(gate, "input") for name, gate in layer.gates.items()}
        self.u = {name: Part(gate, "state") for name, gate in layer.gates.items()}
        self.units = range(layer.hidden_size)
        self.h = [0] * layer.hidden_size
        self.c = [0] * layer.hidden_size

    def run(self, sequence: Sequence[Sequence[int]]) -> Iterator[Step]:
        """All steps of one sequence."""
        for index, x in enumerate(sequence):
            yield self.step(x, first=index == 0)

    def step(self, x: Sequence[int], first: bool) -> Step:
        step = Step()
        if self.layer.cell == "lstm":
            self.lstm(step, x, first)
        else:
            self.gru(step, x, first)
        return step

    def product(self, name: str, v: int) -> int:
        return requant(v, self.layer.products[name].multiplier, self.layer.products[name].shift)

    def lstm(self, step: Step, x: Sequence[int], first: bool) -> None:
        for name in ("forget", "input", "update", "output"):
            step.pre[name], step.gates[name] = [], []
            for unit in self.units:
                pre = sat(self.w[name].unit(unit, x), 16)
                if not first:
                    pre = sat(pre + self.u[name].unit(unit, self.h), 16)
                step.pre[name].append(pre)
                step.gates[name].append(tanh(pre) if name == "update" else sigmoid(pre))
        h = []
        for unit in self.units:
            f, i, g, o = (
                step.gates[name][unit] for name in ("forget", "input", "update", "output")
            )
            c = 0 if first else self.c[unit]
            c = sat(self.product("forget", f * c), 16)
            c = c + self.product("input", i * g)
            if c > self.layer.cell_clip:
                c = self.layer.cell_clip
            if c < -self.layer.cell_clip:
                c = -self.layer.cell_clip
            self.c[unit] = c
            out = self.product("output", o * tanh(c, self.layer.cell_shift))
            h.append(sat(out + self.layer.output_offset, 8))
        self.h = h
        step.cells, step.outputs = list(self.c), list(h)

    def gru(self, step: Step, x: Sequence[int], first: bool) -> None:
        h = [0] * len(self.h) if first else self.h
        for name in ("reset", "update"):
            step.pre[name], step.gates[name] = [], []
            for unit in self.units:
                pre = sat(sat(self.w[name].unit(unit, x), 16) + self.u[name].unit(unit, h), 16)
                step.pre[name].append(pre)
                step.gates[name].append(sigmoid(pre))
        step.pre["new"], step.gates["new"] = [], []
        r, z = step.gates["reset"], step.gates["update"]
        q = [sat(self.product("reset", r[unit] * h[unit]), 8) for unit in self.units]
        for unit in self.units:
            pre = sat(self.w["new"].unit(unit, x), 16)
            if self.layer.cell == "gru-reset-after":
                u = sat(self.u["new"].unit(unit, h), 16)
                pre = sat(pre + self.product("reset", r[unit] * u), 16)
            else:
                pre = sat(pre + self.u["new"].unit(unit, q), 16)
            step.pre["new"].append(pre)
            step.gates["new"].append(tanh(pre))
        n = step.gates["new"]
        self.h = [
            sat(shift_right((2**15 - z[unit]) * n[unit] + z[unit] * h[unit] * 2**8, 23), 8)
            for unit in self.units
        ]
        step.outputs = list(self.h)
