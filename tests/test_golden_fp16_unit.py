"""The golden model of the unit against worked instructions and a literal reading of it."""

from dataclasses import replace

import numpy as np
import pytest
from float_reference import TINY, TINY_WIDE, specials
from fp16_literal import CODES, Literal

from golden.float_format import BFLOAT16, FLOAT16, FLOAT32, FloatFormat
from golden.fp16_unit import Form, Instruction, Number, Operation, Unit, execute
from golden.rounding import DZ, NV, NX, OF, UF, Mode

HALF = {lanes: Unit(lanes, FLOAT16, BFLOAT16, FLOAT32) for lanes in (1, 2, 4, 5)}
UNITS = [
    *HALF.values(),
    Unit(16, BFLOAT16, FLOAT16, FLOAT32),
    Unit(1, TINY, FloatFormat(2, 3), TINY_WIDE),
    Unit(3, TINY, FloatFormat(2, 3), TINY_WIDE),
    Unit(8, TINY, FloatFormat(2, 3), TINY_WIDE),
]
O, N, F, M = Operation, Number, Form, Mode  # noqa: E741


def test_codes() -> None:
    words = CODES.split()
    assert dict(zip(words[1::2], map(int, words[0::2]), strict=True)) == {
        operation.name: operation.value for operation in Operation
    }


def one(lanes: int, instruction: Instruction) -> tuple[int, int, int]:
    (result,) = execute(HALF[lanes], [replace(instruction, tag=77)])
    assert result.tag == 77
    return result.error, result.flags, result.result


def four(text: str) -> int:
    """A register, most significant lane first."""
    return int("".join(lane.zfill(4) for lane in text.split("_")), 16)


#: Of four lanes: what an instruction is, and its flags and result.
WORKED: dict[str, tuple[Instruction, int, int]] = {
    "vector": (
        Instruction(
            O.ADD, mask=0b0101, a=four("3c00_3c00_3c00_3c00"), b=four("3c00_4000_7d00_0001"), c=1
        ),
        NX,
        four("0000_4200_0000_3c00"),
    ),
    "product and addend of opposite sign": (
        Instruction(O.FNMSUB, mask=1, a=0x4000, b=0x4200, c=0x4700),
        0,
        four("3c00"),
    ),
    "both negated": (
        Instruction(O.FNMADD, mask=1, a=0x4000, b=0x4200, c=0x3C00),
        0,
        four("c700"),
    ),
    "flags of masked lanes are not raised": (
        Instruction(O.DIV, mask=0b0001, a=four("3c00_3c00_3c00_3c00"), b=four("0_7d01_3c00")),
        0,
        four("3c00"),
    ),
    "division by zero in the active lane": (
        Instruction(O.DIV, mask=0b0100, a=four("3c00_bc00_3c00_3c00"), b=0x3C00, c=four("5_0006")),
        DZ,
        four("fc00_0005_0006"),
    ),
    "replicated": (
        Instruction(
            O.MUL, form=F.REPLICATED, mask=0xF, a=four("3c00_4000_4200_4400"), b=four("1234_4000")
        ),
        0,
        four("4000_4400_4600_4800"),
    ),
    "scalar": (
        Instruction(
            O.FMADD,
            form=F.SCALAR,
            mask=0xF,
            a=four("ffff_ffff_ffff_4000"),
            b=four("ffff_ffff_ffff_4200"),
            c=four("ffff_ffff_ffff_3c00"),
        ),
        0,
        four("ffff_ffff_ffff_4700"),
    ),
    "an addend that is not boxed is a NaN": (
        Instruction(
            O.FMADD,
            form=F.SCALAR,
            mask=1,
            a=four("ffff_ffff_ffff_4000"),
            b=four("ffff_ffff_ffff_4200"),
            c=four("fffe_ffff_ffff_3c00"),
        ),
        0,
        four("ffff_ffff_ffff_7e00"),
    ),
    "inactive scalar": (
        Instruction(O.ADD, form=F.SCALAR, mask=0xE, a=0x7D01, b=0x3C00, c=four("1_2345_6789")),
        0,
        four("1_2345_6789"),
    ),
    "sign of a scalar that is not boxed": (
        Instruction(O.SGNJN, form=F.SCALAR, mask=1, a=0x1234, b=four("ffff_ffff_ffff_3c00")),
        0,
        four("ffff_ffff_ffff_fe00"),
    ),
    "sign injection keeps a NaN's payload": (
        Instruction(O.SGNJX, mask=0x3, a=four("7d01_fc00"), b=four("8000_8000")),
        0,
        four("fd01_7c00"),
    ),
    "comparison ignores c": (
        Instruction(
            O.LE, mask=0b1101, a=four("3c00_0000_3c00_c000"), b=four("3c00_8000_3c00_c200"), c=0xFF
        ),
        0,
        0b1100,
    ),
    "unequal to a quiet NaN": (
        Instruction(O.NE, mask=0b0011, a=four("7e00_3c00"), b=four("3c00_3c00")),
        0,
        0b10,
    ),
    "less than a quiet NaN": (
        Instruction(O.LT, mask=0b0011, a=four("7e00_3c00"), b=four("3c00_3c01")),
        NV,
        0b01,
    ),
    "scalar comparison": (
        Instruction(
            O.GT,
            form=F.SCALAR,
            mask=1,
            a=four("ffff_ffff_ffff_4000"),
            b=four("ffff_ffff_ffff_3c00"),
        ),
        0,
        1,
    ),
    "class": (
        Instruction(O.CLASSIFY, mask=0xF, a=four("fc00_0001_7d00_7e00")),
        0,
        four("0001_0020_0100_0200"),
    ),
    "scalar class": (
        Instruction(O.CLASSIFY, form=F.SCALAR, mask=1, a=0xFC00, c=four("1_0000")),
        0,
        four("0200"),
    ),
    "to unsigned, sign-extended": (
        Instruction(
            O.CONVERT, N.LANE, N.UNSIGNED, F.SCALAR, M.RTZ, mask=1, a=four("ffff_ffff_ffff_7bff")
        ),
        0,
        four("ffff_ffff_ffff_ffe0"),
    ),
    "to signed, sign-extended": (
        Instruction(O.CONVERT, N.LANE, N.SIGNED, F.SCALAR, mask=1, a=four("ffff_ffff_ffff_4000")),
        0,
        2,
    ),
    "to integers": (
        Instruction(O.CONVERT, N.LANE, N.SIGNED, mask=0xF, a=four("f801_7e00_3e00_c000")),
        NX | NV,
        four("8000_7fff_0002_fffe"),
    ),
    "integers are not boxed": (
        Instruction(O.CONVERT, N.UNSIGNED, N.LANE, F.SCALAR, M.RUP, mask=1, a=four("1_ffff")),
        OF | NX,
        four("ffff_ffff_ffff_7c00"),
    ),
    "widening": (
        Instruction(
            O.CONVERT, N.LANE, N.WIDE, mask=0b01, a=four("1_0001_c000_3c00"), c=four("9_0000_0000")
        ),
        0,
        four("9_3f80_0000"),
    ),
    "widening of the upper lanes": (
        Instruction(O.CONVERT_HIGH, N.ALTERNATE, N.WIDE, mask=0b11, a=four("4000_3f80_1_0001")),
        0,
        four("4000_0000_3f80_0000"),
    ),
    "narrowing into the upper lanes": (
        Instruction(
            O.CONVERT_HIGH,
            N.WIDE,
            N.LANE,
            mask=0b0100,
            a=four("3f80_0000_3300_0000"),
            c=four("5_0006"),
        ),
        NX | UF,
        four("0000_0005_0006"),
    ),
    "scalar of wide": (
        Instruction(O.CONVERT, N.WIDE, N.SIGNED, F.SCALAR, mask=1, a=four("ffff_ffff_c020_0000")),
        NX,
        four("ffff_ffff_ffff_fffe"),
    ),
    "scalar of wide that is not boxed": (
        Instruction(O.CONVERT, N.WIDE, N.LANE, F.SCALAR, mask=1, a=four("ffff_fffe_3f80_0000")),
        0,
        four("ffff_ffff_ffff_7e00"),
    ),
    "scalar to wide": (
        Instruction(O.CONVERT, N.SIGNED, N.WIDE, F.SCALAR, mask=1, a=0xFFFE),
        0,
        four("ffff_ffff_c000_0000"),
    ),
    "same format canonicalises": (
        Instruction(O.CONVERT, N.LANE, N.LANE, mask=0xF, a=four("fe01_8001_7d00_fc00")),
        NV,
        four("7e00_8001_7e00_fc00"),
    ),
    "pack": (
        Instruction(
            O.PACK_B,
            N.WIDE,
            N.LANE,
            mask=0b1100,
            a=four("7f80_0001_3f80_0000"),
            b=four("c000_0000"),
            c=7,
        ),
        0,
        four("c000_3c00_0000_0007"),
    ),
    "pack one": (
        Instruction(O.PACK_A, N.WIDE, N.ALTERNATE, mask=0b0010, a=0x7F800001, b=0xC0000000, c=7),
        0,
        four("c000_0007"),
    ),
    "dot product": (
        Instruction(
            O.DOTP,
            mask=0b01,
            a=four("0_0000_4000_3c00"),
            b=four("0_0000_4200_4400"),
            c=four("8_3c00"),
        ),
        0,
        four("8_4980"),
    ),
    "expanding, negated, replicated": (
        Instruction(
            O.EXNDOTP,
            form=F.REPLICATED,
            mask=0b10,
            a=four("4000_3c00_7d00_7d00"),
            b=four("7d00_4200"),
            c=four("3f80_0000_1234_5678"),
        ),
        0,
        four("c100_0000_1234_5678"),
    ),
    "three terms": (
        Instruction(O.EXVSUM, mask=0b01, a=four("4000_3c00"), c=0xC0400000),
        0,
        0,
    ),
    "sum of three lanes": (
        Instruction(
            O.REDUCE_SUM, mask=0b1110, a=four("4200_4000_3c00_7d00"), c=four("1_0002_0003")
        ),
        0,
        four("1_0002_4600"),
    ),
    "a tree is not a chain": (  # (1 + 2**-11) + (2**-11 + 0), and not ((1 + 2**-11) + 2**-11) + 0
        Instruction(O.REDUCE_SUM, mode=M.RUP, mask=0xF, a=four("0000_1000_1000_3c00")),
        NX,
        0x3C02,
    ),
    "nothing to add": (
        Instruction(O.REDUCE_SUM, mask=0, a=four("7d00_7d00_7d00_7d00"), c=0xFFFF),
        0,
        0x8000,
    ),
    "nothing to add, down": (
        Instruction(O.REDUCE_SUM, mode=M.RDN, mask=0, a=four("7d00_7d00_7d00_7d00"), c=0xFFFF),
        0,
        0,
    ),
    "least": (
        Instruction(O.REDUCE_MIN, mask=0xE, a=four("0000_8000_7d00_bc00"), c=0),
        NV,
        0x8000,
    ),
    "largest of none": (Instruction(O.REDUCE_MAX, mask=0, c=four("1_0000")), 0, four("1_7e00")),
    "broadcast": (
        Instruction(O.BROADCAST, mask=0xB, a=four("1_0002_0003"), b=1, c=four("9999_0000")),
        0,
        four("0002_0000_0002_0002"),
    ),
    "broadcast from nowhere": (
        Instruction(O.BROADCAST, mask=0x2, a=four("1_0002"), b=4, c=0xFFFF_FFFF),
        0,
        0xFFFF,
    ),
    "shuffle": (
        Instruction(
            O.SHUFFLE, mask=0xF, a=four("7d00_0002_0003_0004"), b=four("0000_ffff_0003_0001")
        ),
        0,
        four("0004_0000_7d00_0003"),
    ),
    "shuffle, replicated": (
        Instruction(
            O.SHUFFLE, form=F.REPLICATED, mask=0xF, a=four("1_0002_0003"), b=four("3_0001")
        ),
        0,
        four("0002_0002_0002_0002"),
    ),
    "insert": (
        Instruction(O.INSERT, mask=0xF, a=four("5_7d00"), b=2, c=four("1_0002")),
        0,
        four("7d00_0001_0002"),
    ),
    "insert where the mask forbids": (Instruction(O.INSERT, mask=0xB, a=0x7D00, b=2, c=3), 0, 3),
    "insert nowhere": (Instruction(O.INSERT, mask=0xF, a=0x7D00, b=4, c=3), 0, 3),
    "extract": (
        Instruction(O.EXTRACT, mask=0x1, a=four("7d00_0002_0003"), b=2),
        0,
        four("ffff_ffff_ffff_7d00"),
    ),
    "extract from nowhere": (
        Instruction(O.EXTRACT, mask=0x1, a=0xFFFF, b=9),
        0,
        four("ffff_ffff_ffff_0000"),
    ),
    "extract nothing": (Instruction(O.EXTRACT, mask=0xE, a=four("7d00_0002_0003"), b=2, c=6), 0, 6),
}


@pytest.mark.parametrize("name", WORKED)
def test_worked_instructions(name: str) -> None:
    instruction, flags, result = WORKED[name]
    error, got_flags, got = one(4, instruction)
    assert (error, got_flags, f"{got:016x}") == (0, flags, f"{result:016x}")


def test_one_lane() -> None:
    """Its register has a second position, which conversions, dot products and moves use."""
    full = {"mask": 0b11, "c": 0xABCD_1234}
    assert one(1, Instruction(O.ADD, a=0x3C00_3C00, b=0x7D00_3C00, **full))[1:] == (0, 0xABCD_4000)
    wide = Instruction(O.CONVERT_HIGH, N.LANE, N.WIDE, a=0x3C00_4000, **full)
    assert one(1, wide)[2] == 0x3F80_0000
    high = Instruction(O.CONVERT_HIGH, N.WIDE, N.LANE, a=0x4000_0000, **full)
    assert one(1, high)[2] == 0x4000_1234
    dot = Instruction(O.DOTP, a=0x4000_4200, b=0x3C00_3C00, mask=1, c=0xABCD_3C00)
    assert one(1, dot)[2] == 0xABCD_4600
    assert one(1, Instruction(O.BROADCAST, a=0x4000_4200, b=1, **full))[2] == 0x4000_4000
    assert one(1, Instruction(O.REDUCE_SUM, a=0x4000_FE01, **full))[2] == 0xABCD_7E00
    scalar = Instruction(O.CONVERT, N.WIDE, N.LANE, F.SCALAR, a=0x4000_0000, **full)
    assert one(1, scalar)[2] == 0xFFFF_4000
    pack = Instruction(O.PACK_A, N.WIDE, N.LANE, a=0x4000_0000, b=0x3F80_0000, **full)
    assert one(1, pack)[2] == 0x3C00_4000
    assert one(1, replace(pack, operation=O.PACK_B))[0] == 1


ERRORS: list[Instruction] = [
    *(Instruction(code) for code in (7, 20, 23, 26, 27, 34, 39, 43, 47, 51, 55, 60, 63)),
    *(Instruction(O.SGNJ, mode=mode) for mode in (5, 6, 7)),
    Instruction(O.BROADCAST, mode=5),
    Instruction(O.ADD, form=3),
    *(Instruction(code, form=F.SCALAR) for code in (40, 41, 42, 44, 45, 46, 48, 49, 50)),
    *(Instruction(code, form=F.SCALAR) for code in (56, 57, 58, 59)),
    Instruction(O.PACK_A, N.WIDE, N.LANE, F.SCALAR),
    Instruction(O.CONVERT_HIGH, N.WIDE, N.LANE, F.SCALAR),
    Instruction(O.CONVERT, 5, N.LANE),
    Instruction(O.CONVERT, N.LANE, 7),
    Instruction(O.CONVERT, N.SIGNED, N.UNSIGNED),
    Instruction(O.CONVERT, N.SIGNED, N.SIGNED),
    Instruction(O.CONVERT_HIGH, N.LANE, N.ALTERNATE),
    Instruction(O.CONVERT_HIGH, N.LANE, N.SIGNED),
    Instruction(O.CONVERT_HIGH, N.WIDE, N.WIDE),
    Instruction(O.CONVERT_HIGH, N.WIDE, 6),
    Instruction(O.PACK_A, N.WIDE, N.WIDE),
    Instruction(O.PACK_A, N.WIDE, N.SIGNED),
    Instruction(O.PACK_A, N.LANE, N.LANE),
    Instruction(O.PACK_C, N.WIDE, N.LANE),
]


@pytest.mark.parametrize("instruction", ERRORS, ids=str)
def test_errors(instruction: Instruction) -> None:
    ones = (1 << 64) - 1
    operands = replace(instruction, mask=0xF, a=ones, b=ones, c=ones)
    assert one(4, operands) == (1, 0, 0)


def test_formats_are_ignored_elsewhere() -> None:
    assert one(4, Instruction(O.ADD, 7, 6, mask=1))[0] == 0
    assert one(5, Instruction(O.PACK_B, N.WIDE, N.LANE))[0] == 0
    (result,) = execute(UNITS[-1], [Instruction(O.CLASSIFY, mask=1)])
    assert result.error == 1


@pytest.mark.parametrize(
    "build",
    [
        lambda: Unit(0, FLOAT16, BFLOAT16, FLOAT32),
        lambda: Unit(17, FLOAT16, BFLOAT16, FLOAT32),
        lambda: Unit(4, FLOAT16, FLOAT32, FLOAT32),
        lambda: Unit(4, FLOAT16, BFLOAT16, TINY),
    ],
)
def test_units_that_cannot_be(build: object) -> None:
    with pytest.raises(ValueError, match=r"lanes is|do not go with"):
        build()  # type: ignore[operator]


def random_register(unit: Unit, rng: np.random.Generator) -> int:
    """Lanes of random bits, boundary patterns or small integers; or one boxed number."""
    fmt = (unit.lane, unit.alternate, unit.wide)[rng.choice(3, p=(0.6, 0.1, 0.3))]
    count = unit.positions * unit.width // fmt.width
    pools = [specials(fmt), range(unit.positions + 2), range(1 << min(fmt.width, 16))]
    register = 0
    for element in range(count):
        pool = pools[rng.integers(3)]
        register |= int(pool[rng.integers(len(pool))]) % (1 << fmt.width) << element * fmt.width
    kept = int(rng.choice([0, 0, fmt.width]))
    if kept and rng.random() < 0.9:
        ones = (1 << unit.register_bits) - 1
        register = register % (1 << kept) | ones >> kept << kept
    return register


def random_program(unit: Unit, count: int, seed: int) -> list[Instruction]:
    rng = np.random.default_rng(seed)
    codes = list(Operation)

    def draw(high: int, reserved: int) -> int:
        """Nearly always below ``high``, which are the codes in use."""
        return int(rng.integers(reserved if rng.random() < 0.02 else high))

    program = []
    for tag in range(count):
        operation = codes[rng.integers(len(codes))]
        source, destination = draw(5, 8), draw(5, 8)
        if operation.packs:
            source, destination = 2, draw(2, 8)
        program.append(
            Instruction(
                operation=draw(64, 64) if rng.random() < 0.02 else operation,
                source=source,
                destination=destination,
                form=draw(3, 4),
                mode=draw(5, 8),
                mask=int(rng.integers(1 << unit.positions)) | int(rng.random() < 0.5),
                tag=tag % 256,
                a=random_register(unit, rng),
                b=random_register(unit, rng),
                c=random_register(unit, rng),
            )
        )
    return program


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_mixed_programs(unit: Unit) -> None:
    program = random_program(unit, 900, seed=unit.lanes)
    results = execute(unit, program)
    assert len(results) == len(program)
    good = set()
    for item, result in zip(program, results, strict=True):
        assert result == Literal(unit, item).execute(), item
        if not result.error:
            good.add(item.operation)
    # Packing more than fits, and classes of narrow lanes, are all that can never succeed.
    missing = {code for code in Operation if code not in good}
    assert missing <= {code for code in Operation if code.packs or code == Operation.CLASSIFY}
    flags = {result.flags for result in results}
    assert all(any(raised & flag for raised in flags) for flag in (NX, UF, OF, DZ, NV))
    assert 0.02 < sum(result.error for result in results) / len(results) < 0.5


def test_no_instructions() -> None:
    assert execute(HALF[4], []) == []
