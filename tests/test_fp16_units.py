"""Conversions and dot products of the FP16 datapath, driven whole functions at a time.

The golden model is the reference; it has been checked against SoftFloat and exact fractions.
"""

from functools import cache
from itertools import product

import numpy as np
import pytest

from golden import fp16
from golden.float_format import FLOAT16 as GOLDEN_FLOAT16
from golden.float_format import FLOAT32 as GOLDEN_FLOAT32
from golden.integers import Integers
from golden.rounding import NV, NX, OF, UF, Mode
from hdl.fp16.convert import INTEGERS, Converter
from hdl.fp16.dot import DotProduct
from hdl.fp16.format import BFLOAT16, FLOAT16, FLOAT32, TINY, Format
from hdl.fp16.operation import Number, Operation
from hdl.fp16.parameters import Parameters
from sim.evaluate import Evaluator, build_evaluator
from sim.fp16.operands import corner_values
from sim.fp16.program import golden_format, golden_unit

NARROW = (Number.LANE, Number.ALTERNATE, *INTEGERS)
MODES = np.array([int(mode) for mode in Mode])[:, None]
#: Wide operands of each pair of formats: they have too many values to try them all.
WIDE_OPERANDS = 100_000
#: Terms of each kind of dot product.
DOT_OPERANDS = 60_000
PAIRS = [
    (source, destination)
    for source, destination in product(Number, Number)
    if source not in INTEGERS or destination not in INTEGERS
]


@cache
def converter(lane: Format, is_wide: bool) -> Evaluator:
    return build_evaluator(Converter(Parameters(lane), 0, is_wide))


@pytest.mark.parametrize("lane", [FLOAT16, BFLOAT16, TINY], ids=lambda lane: lane.name)
@pytest.mark.parametrize(("source", "destination"), PAIRS, ids=lambda number: number.name.lower())
def test_conversions(lane: Format, source: Number, destination: Number) -> None:
    """Every narrow operand in every mode; of wide ones corners and random ones."""
    operands = _operands(lane, source)
    units = [True] if Number.WIDE in (source, destination) else [True, False]
    expected = _expected(lane, source, destination, operands)
    for is_wide in units:
        unit = converter(lane, is_wide)
        got = unit(value=operands, source=source.value, destination=destination.value, mode=MODES)
        width = golden_unit(Parameters(lane)).number_width(destination.value)
        result = got["result"].astype(np.int64) & (1 << width) - 1
        assert result.size == operands.size * len(Mode) > 0
        _equal(operands, result, expected[0])
        _equal(operands, got["flags"], expected[1])


def test_conversions_of_facts() -> None:
    """What units of this kind got wrong: overflow of unsigned integers, NV and NX, infinities."""
    unit = converter(FLOAT16, True)

    def one(value: int, source: Number, destination: Number, mode: Mode) -> tuple[int, int]:
        got = unit(value=value, source=source.value, destination=destination.value, mode=int(mode))
        return int(got["result"]), int(got["flags"])

    to_lane = {"destination": Number.LANE}
    for mode, result, flags in (
        (Mode.RNE, 0x7C00, OF | NX),
        (Mode.RTZ, 0x7BFF, NX),
        (Mode.RDN, 0x7BFF, NX),
        (Mode.RUP, 0x7C00, OF | NX),
        (Mode.RMM, 0x7C00, OF | NX),
    ):
        for value in (65520, 65535):
            assert one(value, Number.UNSIGNED, **to_lane, mode=mode) == (result, flags)
    assert one(0xB800, Number.LANE, Number.UNSIGNED, Mode.RNE) == (0, NX)
    assert one(0xB800, Number.LANE, Number.UNSIGNED, Mode.RMM) == (0, NV)
    assert one(0xF800, Number.LANE, Number.SIGNED, Mode.RNE) == (0x8000, 0)
    assert one(0x7F800000, Number.WIDE, **to_lane, mode=Mode.RTZ) == (0x7C00, 0)
    assert one(0x33000000, Number.WIDE, **to_lane, mode=Mode.RUP) == (0x0001, NX | UF)
    assert one(0x477FF000, Number.WIDE, **to_lane, mode=Mode.RNE) == (0x7C00, OF | NX)


DOTS = [each for each in Operation if each.group.name == "DOT"]


@pytest.mark.parametrize("lane", [FLOAT16, BFLOAT16, TINY], ids=lambda lane: lane.name)
@pytest.mark.parametrize("operation", DOTS, ids=lambda each: each.name)
def test_dot_products(lane: Format, operation: Operation) -> None:
    """Corners, products that cancel each other, and addends that nearly cancel their sum."""
    p = Parameters(lane)
    rng = np.random.default_rng([operation.value, lane.width, lane.fraction_bits])
    small, wide = golden_format(lane), golden_format(p.wide)
    is_wide = operation.name.startswith("EX")
    target = wide if is_wide else small
    a0, b0, a1, b1 = corner_values(rng, small, (4, DOT_OPERANDS))
    opposite = rng.random(DOT_OPERANDS) < 0.3
    a1 = np.where(opposite, a0 ^ small.sign_bit, a1)
    b1 = np.where(opposite, b0 ^ rng.integers(0, 3, DOT_OPERANDS), b1)
    mode = rng.integers(0, len(Mode), DOT_OPERANDS)
    c = corner_values(rng, target, (DOT_OPERANDS,))
    sums, negate = operation.name.endswith("VSUM"), "N" in operation.name

    def golden(c: Integers) -> fp16.Result:
        if sums:
            return fp16.sum2(a0, a1, c, small, target, mode)
        return fp16.dot2(a0, b0, a1, b1, c, small, target, mode, negate)

    nearly = (golden(np.zeros_like(c))[0] ^ target.sign_bit) + rng.integers(-2, 3, DOT_OPERANDS)
    c = np.where(rng.random(DOT_OPERANDS) < 0.4, nearly & (1 << target.width) - 1, c)
    unit = build_evaluator(DotProduct(lane, p.wide))
    got = unit(a0=a0, b0=b0, a1=a1, b1=b1, c=c, operation=operation.index, mode=mode)
    result, flags = golden(c)
    assert result.size == DOT_OPERANDS
    operands = np.stack([a0, b0, a1, b1, c, mode], axis=1)
    _equal(operands, got["result"], result)
    _equal(operands, got["flags"], flags)


#: 65504**2, exact in FLOAT32.
SQUARE = int(np.float32(65504.0**2).view(np.uint32))


@pytest.mark.parametrize(
    ("a", "b", "c", "wanted"),
    [
        # ab = -cd, and e is far below both: nothing but e is left.
        ((0x7BFF, 0x7BFF), (0x7BFF, 0xFBFF), 0x00000001, 0x00000001),
        # ab = -e, and cd, the smallest product, is far below both.
        ((0x7BFF, 0x0001), (0x7BFF, 0x0001), SQUARE | 1 << 31, 0x27800000),
    ],
)
def test_dot_products_that_lose_all_but_a_tiny_term(
    a: tuple[int, int], b: tuple[int, int], c: int, wanted: int
) -> None:
    unit = build_evaluator(DotProduct(FLOAT16, FLOAT32))
    got = unit(a0=a[0], b0=b[0], a1=a[1], b1=b[1], c=c, operation=Operation.EXDOTP.index, mode=0)
    expected = fp16.dot2(a[0], b[0], a[1], b[1], c, GOLDEN_FLOAT16, GOLDEN_FLOAT32, Mode.RNE)
    assert int(got["result"]) == int(expected[0]) == wanted
    assert int(got["flags"]) == int(expected[1]) == 0


def _operands(lane: Format, source: Number) -> Integers:
    p = Parameters(lane)
    if source is not Number.WIDE:
        return np.arange(1 << lane.width)
    rng = np.random.default_rng(lane.fraction_bits)
    wide = golden_format(p.wide)
    near = fp16.convert(np.arange(1 << lane.width), golden_format(lane), wide, Mode.RNE)[0]
    near = rng.choice(near, WIDE_OPERANDS) + rng.integers(-3, 4, WIDE_OPERANDS)
    corners = corner_values(rng, wide, (WIDE_OPERANDS,))
    return np.concatenate([corners, near & (1 << wide.width) - 1])


def _expected(lane: Format, source: Number, destination: Number, operands: Integers) -> fp16.Result:
    unit = golden_unit(Parameters(lane))
    if source in INTEGERS:
        format = unit.float_format(destination.value)
        return fp16.from_integer(operands, unit.width, source is Number.SIGNED, format, MODES)
    format = unit.float_format(source.value)
    if destination in INTEGERS:
        signed = destination is Number.SIGNED
        return fp16.to_integer(operands, format, unit.width, signed, MODES)
    return fp16.convert(operands, format, unit.float_format(destination.value), MODES)


def _equal(operands: Integers, got: Integers, wanted: Integers) -> None:
    wrong = np.argwhere(np.asarray(got, dtype=np.int64) != wanted)
    if len(wrong):
        at = tuple(wrong[0])
        which = operands[at[-1]] if got.ndim > 1 else operands[at[0]]
        raise AssertionError(
            f"{len(wrong)} of {got.size} wrong, first of {which}: got {int(got[at]):x}, "
            f"expected {int(wanted[at]):x}"
        )
