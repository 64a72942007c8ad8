"""Circuits as functions on arrays: whole, and 64 rows at a time."""

import numpy as np
import pytest
from amaranth.hdl import Cat, Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.export import export
from sim.evaluate import Evaluator, build_evaluator
from sim.ports import Port
from sim.sliced import build_sliced, from_slices, slice_names, to_slices


class Mixed(wiring.Component):
    """Ports of all sizes: arithmetic, a comparison, wires, and a constant."""

    x: In(5)
    y: In(64)
    choose: In(1)
    total: Out(33)
    smaller: Out(1)
    swapped: Out(64)
    fixed: Out(9)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += [
            self.total.eq(Mux(self.choose, self.y[:32] * 3 + self.x, self.x)),
            self.smaller.eq(self.x < self.y[:5]),
            self.swapped.eq(Cat(self.y[32:], self.y[:32])),
            self.fixed.eq(0x155),
        ]
        return m


class Delayed(wiring.Component):
    x: In(1)
    y: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += self.y.eq(self.x)
        return m


class Wide(wiring.Component):
    x: In(65)
    y: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.y.eq(self.x.any())
        return m


def expected(x: np.ndarray, y: np.ndarray, choose: np.ndarray) -> dict[str, np.ndarray]:
    x = x.astype(np.uint64)
    low = y & np.uint64(0xFFFFFFFF)
    return {
        "total": np.where(choose == 1, (low * np.uint64(3) + x) & np.uint64((1 << 33) - 1), x),
        "smaller": x < (y & np.uint64(31)),
        "swapped": y >> np.uint64(32) | low << np.uint64(32),
        "fixed": np.full(y.shape, 0x155),
    }


def inputs(rows: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "x": rng.integers(0, 1 << 5, rows),
        "y": rng.integers(0, 1 << 64, rows, dtype=np.uint64),
        "choose": rng.integers(0, 2, rows),
    }


@pytest.fixture(scope="module")
def mixed() -> Evaluator:
    return build_evaluator(Mixed())


def test_every_port_and_row(mixed: Evaluator) -> None:
    given = inputs(10_000)
    got = mixed(**given)
    want = expected(**given)
    assert {name: str(values.dtype) for name, values in got.items()} == {
        "total": "uint64",
        "smaller": "uint8",
        "swapped": "uint64",
        "fixed": "uint16",
    }
    for name, values in want.items():
        assert (got[name] == values).all(), name


def test_shapes_broadcast(mixed: Evaluator) -> None:
    got = mixed(x=np.arange(32)[:, None], y=np.arange(4, dtype=np.uint64), choose=0)
    assert got["total"].shape == (32, 4)
    assert (got["total"] == np.arange(32)[:, None]).all()
    assert (got["smaller"] == (np.arange(32)[:, None] < np.arange(4))).all()
    assert mixed(x=3, y=4, choose=1)["total"] == 15
    assert mixed(x=np.arange(0), y=0, choose=1)["total"].shape == (0,)


def test_wrong_arguments_are_refused(mixed: Evaluator) -> None:
    with pytest.raises(TypeError, match="choose"):
        mixed(x=0, y=0)
    with pytest.raises(TypeError, match="rst"):
        mixed(x=0, y=0, choose=0, rst=0)
    for bad in (32, -1, 1.0):
        with pytest.raises(ValueError, match="x "):
            mixed(x=bad, y=0, choose=0)


def test_only_combinational_circuits_of_narrow_ports() -> None:
    with pytest.raises(ValueError, match="registers"):
        build_evaluator(Delayed())
    with pytest.raises(ValueError, match="wider than 64 bits: x"):
        build_evaluator(Wide())
    with pytest.raises(ValueError, match="combinational"):
        build_sliced(export(Delayed()), {}, ("y",))
    with pytest.raises(ValueError, match="no ports of the circuit: z"):
        build_sliced(export(Wide()), {"z": 0}, ("y",))
    with pytest.raises(ValueError, match="x cannot be made"):
        build_sliced(export(Mixed()), {"x": 32}, ("total",))


@pytest.mark.parametrize("constants", [{}, {"choose": 1}, {"x": 21, "choose": 0}], ids=str)
def test_slices_equal_the_whole(constants: dict[str, int]) -> None:
    rows = 64 * 100
    given = {**inputs(rows), **{name: np.full(rows, value) for name, value in constants.items()}}
    names = ("total", "smaller", "swapped", "fixed")
    sliced = build_sliced(export(Mixed()), constants, names)
    got = in_slices(sliced, given, {"x": 5, "y": 64, "choose": 1})
    for name, values in expected(**given).items():
        assert (got[name] == values).all(), name


def in_slices(
    sliced: Evaluator, given: dict[str, np.ndarray], widths: dict[str, int]
) -> dict[str, np.ndarray]:
    """Outputs of a sliced circuit by the names of the whole one, for multiples of 64 rows."""
    words = {
        name: column
        for port, width in widths.items()
        for name, column in zip(
            slice_names(Port(port, width, True)), to_slices(given[port], width), strict=True
        )
    }
    got = sliced(**{port.name: words[port.name] for port in sliced.inputs})
    columns: dict[str, list[np.ndarray]] = {}
    for port in sliced.outputs:
        columns.setdefault(port.name.rpartition("_")[0], []).append(got[port.name])
    return {name: from_slices(np.array(of_bits)) for name, of_bits in columns.items()}


def test_slices_and_back() -> None:
    values = np.random.default_rng(2).integers(0, 1 << 21, 640, dtype=np.uint64)
    words = to_slices(values, 21)
    assert words.shape == (21, 10)
    assert int(words[3, 2]) == sum((int(values[128 + r]) >> 3 & 1) << r for r in range(64))
    assert (from_slices(words) == values).all()
