"""The parts of the weight-stationary array, one by one, in Amaranth's own simulator."""

import re
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from golden.ent import Beat, multiply_by_weights, quiet_offset, row_correction, sign_offset
from golden.integers import Integers, all_signed, wrap
from hdl.encoding import Encoding
from hdl.ent import DATAPATH
from hdl.ent.configurations import WeightStationaryConfiguration
from hdl.ent.parameters import Parameters
from hdl.ent.weights_column import WeightsHead
from hdl.ent.weights_pe import WeightsPE
from hdl.export import export
from sim.ent.code import code_words
from sim.ent.weights_streams import cut_weights, join_weights
from sim.ports import top_ports

every_encoding = pytest.mark.parametrize("encoding", list(Encoding))
ENCODE_AT = ("pe", "pe-register", "edge")


def run(unit: Any, bench: Any) -> None:
    """Run a clocked testbench; it must have come to its end."""
    finished = []

    async def wrapped(context: Any) -> None:
        await bench(context)
        finished.append(True)

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(wrapped)
    simulator.run()
    assert finished == [True]


@every_encoding
@pytest.mark.parametrize("encode_at", ENCODE_AT)
@pytest.mark.parametrize(("rows", "bits"), [(1, 4), (3, 4), (5, 4), (3, 8), (6, 8)])
def test_corrections_of_a_column(encoding: Encoding, encode_at: Any, rows: int, bits: int) -> None:
    """Tile after tile, those with the largest corrections among them, each taken over once."""
    p = Parameters(bits, 2 * bits + 4, encoding, encode_at, "edge", "carry-save")
    head = WeightsHead(p, rows)
    rng = np.random.default_rng(rows)
    values = all_signed(bits)
    off = row_correction(values, bits, encoding.value) - _offset(values, p)
    worst = values[np.argmax(off)]
    tiles = [np.full(rows, worst), np.zeros(rows, int), np.full(rows, worst)]
    tiles += [rng.choice(values, rows) for _ in range(20)]

    async def bench(context: Any) -> None:
        before = None
        context.set(head.present, 1)
        for tile in tiles:
            for index, weight in enumerate(tile.tolist()):
                context.set(head.load, 0)
                context.set(head.operand, weight & (1 << bits) - 1)
                await context.tick()
                context.set(head.operand, 0)
                context.set(head.first, index == 0)
                context.set(head.load, 1)
                assert before in (None, context.get(head.sums))
                await context.tick()
            context.set(head.load, 0)
            context.set(head.swap, 1)
            await context.tick()
            context.set(head.swap, 0)
            corrections = row_correction(tile, bits, encoding.value) - _offset(tile, p)
            expected = int(np.sum(corrections)) % (1 << p.accumulator_bits)
            before = context.get(head.sums)
            assert before == expected, tile

    run(head, bench)


def _offset(weights: Any, p: Parameters) -> Any:
    """What the products of each weight are too large by."""
    if p.quiet:
        return quiet_offset(weights, p.operand_bits, p.encoding.value)
    return sign_offset(p.operand_bits)


@pytest.mark.parametrize("encode_at", ENCODE_AT)
def test_a_column_that_corrects_in_its_pes_begins_with_zero(encode_at: Any) -> None:
    head = WeightsHead(Parameters(8, 20, Encoding.BOOTH, encode_at, "pe"), 4)

    async def bench(context: Any) -> None:
        for port in (head.load, head.first, head.swap, head.present):
            context.set(port, 1)
        context.set(head.operand, 0x80)
        for _ in range(4):
            await context.tick()
            assert context.get(head.sums) == 0

    run(head, bench)


@every_encoding
@pytest.mark.parametrize("encode_at", ENCODE_AT)
def test_a_pe_uses_what_waits_only_after_a_swap(encoding: Encoding, encode_at: Any) -> None:
    """All 4-bit products; a swap and a load in one cycle do not disturb each other."""
    p = Parameters(4, 12, encoding, encode_at, "pe")
    pe = WeightsPE(p)
    weights = all_signed(4)
    words = [word & (1 << p.a_width) - 1 for word in _words(weights, p)]

    async def bench(context: Any) -> None:
        context.set(pe.load, 1)
        context.set(pe.weight, words[0])
        await context.tick()
        for index, weight in enumerate(weights.tolist()):
            context.set(pe.load, 1)
            context.set(pe.swap, 1)
            context.set(pe.weight, words[(index + 1) % len(words)])
            assert context.get(pe.weight_next) == words[index]
            await context.tick()
            context.set(pe.load, 0)
            context.set(pe.swap, 0)
            for a in all_signed(4).tolist():
                context.set(pe.a, a & 15)
                context.set(pe.sums, 1000 + a)
                await context.tick()
                assert context.get(pe.sums_next) == 1000 + a + a * weight, (a, weight)
                assert context.get(pe.a_next) == a & 15

    run(pe, bench)


def _words(weights: Integers, p: Parameters) -> list[int]:
    if p.encode_at == "edge":
        return code_words(weights, p)
    return [weight & (1 << p.operand_bits) - 1 for weight in weights.tolist()]


@pytest.mark.parametrize("name", ["rows", "columns"])
@pytest.mark.parametrize("value", [0, -1, 513, None, "4"])
def test_configuration_refuses_sizes(name: str, value: Any) -> None:
    message = rf"^{name} is {re.escape(repr(value))}; allowed are 1 to 512$"
    with pytest.raises(ValueError, match=message):
        WeightStationaryConfiguration(**{"rows": 2, "columns": 2, name: value})


def test_configuration_refuses_what_may_overflow() -> None:
    parameters = Parameters(8, 18)
    deepest = parameters.longest_exact_tile
    assert WeightStationaryConfiguration(deepest, 2, parameters).rows == deepest
    with pytest.raises(ValueError, match=rf"^rows is {deepest + 1}; 18 .* sum of {deepest} "):
        WeightStationaryConfiguration(deepest + 1, 2, parameters)
    with pytest.raises(ValueError, match=r"^correct_at is 'beat'; .* allowed are 'pe' and 'edge'$"):
        WeightStationaryConfiguration(4, 4, Parameters(correct_at="beat"))
    with pytest.raises(ValueError, match=r"^lanes is 2; "):
        WeightStationaryConfiguration(2, 2, Parameters(8, 32, lanes=2))


def test_ports_of_the_multiplier() -> None:
    configuration = WeightStationaryConfiguration(2, 3, Parameters(4, 12))
    ports = {port.name: port for port in top_ports(export(configuration.build()))}
    assert {name: (port.width, port.is_input) for name, port in ports.items()} == {
        "clk": (1, True),
        "rst": (1, True),
        "i_w__valid": (1, True),
        "i_w__ready": (1, False),
        "i_w__payload": (3 * 4 + 1, True),
        "i_a__valid": (1, True),
        "i_a__ready": (1, False),
        "i_a__payload": (2 * 4 + 1, True),
        "o__valid": (1, False),
        "o__ready": (1, True),
        "o__payload": (3 * 12 + 1 + 1, False),
        "status": (3 + 1 + 8, False),
    }


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 3), (6, 4)])
def test_what_repeats_is_exported_once_and_mapped_alone(rows: int, columns: int) -> None:
    rtlil = export(WeightStationaryConfiguration(rows, columns, Parameters(4, 12)).build())
    expected = {
        "weights_pe": rows * columns,
        "weights_row": rows,
        "weights_head": columns,
        "weights_foot": columns,
        "stage": rows * (rows - 1) // 2 + columns * (columns - 1) // 2,
    }
    for name, count in expected.items():
        assert len(re.findall(rf"^  cell \\{name} ", rtlil, re.MULTILINE)) == count, name
        if count:
            kept = rf"attribute \\keep_hierarchy 1\n(attribute .*\n)*module \\{name}\n"
            assert len(re.findall(kept, rtlil)) == 1, name


def test_there_is_every_variant_among_those_checked() -> None:
    found = [c for c in DATAPATH.configurations if isinstance(c, WeightStationaryConfiguration)]
    parameters = [c.parameters for c in found]
    assert {p.accumulation for p in parameters} == {"fused", "separate", "carry-save"}
    assert {(p.encode_at, p.correct_at) for p in parameters} == {
        (encode_at, correct_at) for encode_at in ENCODE_AT for correct_at in ("pe", "edge")
    }
    assert {p.encoding for p in parameters} == set(Encoding)


def test_golden_model_of_odd_tiles() -> None:
    """Worked by hand: tiles of a row too few, a row too many, as many as there are; one is cut."""
    weights = [Beat((5,), True)]
    weights += [Beat((2,), False), Beat((3,), False), Beat((9,), True)]
    weights += [Beat((7,), False), Beat((-1,), True), Beat((4,), False)]
    rows = [Beat((10, 1), True), Beat((10, 1), False), Beat((0, 1), True)]
    rows += [Beat((100, 1), True), Beat((1, 1), True)]
    tiles = multiply_by_weights(weights, rows, 2, 7)
    assert [tile.values.tolist() for tile in tiles] == [[[5]], [[32], [2]], [[-93 + 128]]]
    assert [tile.wrong_length for tile in tiles] == [True, True, False]


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 7, 5), (2, 4, 6), (5, 3, 13)])
def test_tiling_is_matrix_multiplication(shape: tuple[int, int, int]) -> None:
    height, inner, width = shape
    rng = np.random.default_rng(1)
    a, w = rng.integers(-9, 9, (height, inner)), rng.integers(-9, 9, (inner, width))
    pairs = cut_weights(a, w, 3, 4)
    assert all(pair.weights.shape == (3, 4) for pair in pairs)
    assert all(pair.rows.shape == (height, 3) for pair in pairs)
    partial = (wrap(pair.rows @ pair.weights, 32) for pair in pairs)
    np.testing.assert_array_equal(join_weights(partial, inner, width, 3), a @ w)
