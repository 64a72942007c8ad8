"""What the design that Piper's authors released gets wrong, as its public code shows (Q1 … Q11).

Each test says what that design gives, and that this one gives what is right, at every width.
"""

import math

import numpy as np
import pytest
from piper_circuits import WIDTHS, check, cleared_circuit

from golden.piper import Cause
from hdl.piper.schemas import CRITEO
from sim.piper.beats import Output
from sim.piper.rows import criteo_rows

NAMES = [column.name for column in CRITEO.columns]
at_every_width = pytest.mark.parametrize("width", WIDTHS)


def row(end: bytes = b"\n", **fields: bytes) -> bytes:
    """A row of these fields; the others are 0 and, of categories, 7."""
    usual = {name: b"7" if name.startswith("C") else b"0" for name in NAMES}
    return b"\t".join((usual | fields).values()) + end


def run(width: int, *data_sets: bytes) -> list[Output]:
    outputs, _, _, compared = check(cleared_circuit(width), data_sets)
    assert compared > 0
    return outputs


def logarithms(output: Output, name: str) -> np.ndarray:
    return output.words[:, NAMES.index(name)].view(np.float32)


def is_logarithm(found: float, argument: int) -> bool:
    """Whether a float32 is that of ``argument``, within a unit in its last place."""
    return abs(found - math.log(argument)) <= 1.5 * np.spacing(np.float32(math.log(argument)))


def column(output: Output, name: str) -> list[int]:
    return output.words[:, NAMES.index(name)].tolist()


@at_every_width
def test_q1_minus_in_every_lane(width: int) -> None:
    """A minus in lane 0 of two is taken for a digit: −1 becomes 451, and ln(452) its word."""
    data = b"".join(row(label=b"1" * (1 + shift % 9), I2=b"-1") for shift in range(2 * width + 9))
    released = math.log(452)
    found = logarithms(run(width, data)[0], "I2")
    assert len(found) == 2 * width + 9
    assert (found == 0).all()
    assert not np.isclose(found, released).any()


@at_every_width
def test_q2_large_numbers_are_positive(width: int) -> None:
    """Bit 31 of eight decimal digits is taken for the sign: 80000000 becomes 0."""
    found = logarithms(run(width, row(I1=b"80000000", I2=b"99999999"))[0], "I1")
    released = 0.0
    assert is_logarithm(found[0], 80_000_001)
    assert not is_logarithm(released, 80_000_001)


@at_every_width
def test_q3_ten_digits(width: int) -> None:
    """Eight digits are all that fit: of 2147483646 the last eight are left."""
    found = logarithms(run(width, row(I1=b"2147483646"))[0], "I1")
    released = math.log(47_483_647)
    assert is_logarithm(found[0], 2_147_483_647)
    assert not is_logarithm(released, 2_147_483_647)


@at_every_width
def test_q4_bytes_that_are_no_digits(width: int) -> None:
    """They are added to the number, and a full stop ends the field; upper case is no digit."""
    bad = (b"1.5", b"+1", b" 1", b"1\r", b"1x")
    lines = b"".join(row(I1=field) + row(I3=b"1") for field in bad)
    upper = row(C1=b"DEADBEEF") + row(C1=b"deadbeef") + row(C1=b"DeadBeef", end=b"\r\n")
    output = run(width, lines + upper)[0]
    assert len(output.words) == len(bad) + 3
    assert column(output, "C1")[-3:] == [1, 1, 1]
    circuit = cleared_circuit(width)
    check(circuit, [lines])
    assert circuit.counter("flagged") == len(bad)


@at_every_width
def test_q5_no_final_newline(width: int) -> None:
    """The last field is lost."""
    output = run(width, row(C26=b"1") + row(end=b"", C26=b"2"))[0]
    assert column(output, "C26") == [0, 1]
    assert output.causes.tolist() == [0, 1 << Cause.NO_FINAL_NEWLINE]


@at_every_width
def test_q6_no_value_means_the_end(width: int) -> None:
    """Words of 03 end the data; efffffff and ffffffff are tokens of their own."""
    marks = (b"3030303", b"efffffff", b"ffffffff", b"03030303", b"ffffffff")
    data = b"".join(row(C1=mark) for mark in marks) + row(I1=b"\3\3\3\3") + row(C1=b"1")
    first, second = run(width, data, row(C1=b"2"))
    # Modulo 5000 the five marks are three values: 3030303 and 03030303 are the same number.
    assert column(first, "C1") == [0, 1, 2, 0, 2, 3]
    assert column(second, "C1") == [4]


@at_every_width
def test_q7_short_and_long_rows(width: int) -> None:
    """They shift all that follows."""
    good = row(I1=b"5", C26=b"9")
    data = good + b"1\t2\n" + good + good[:-1] + b"\t1\t2\n" + good + b"\n" + good
    output = run(width, data)[0]
    assert len(output.words) == 4
    assert (output.words == output.words[0]).all()
    assert all(is_logarithm(found, 6) for found in logarithms(output, "I1"))


@at_every_width
def test_q8_repeats_are_not_new(width: int) -> None:
    """The bit of a value is set at another place than it is read, so repeats look new."""
    values = [4999, 4095, 64, 63, 1, 4999, 4095, 64, 63, 1]
    output = run(width, b"".join(row(C7=f"{value:x}".encode()) for value in values))[0]
    assert column(output, "C7") == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]


@at_every_width
def test_q9_the_logarithm_is_there(width: int) -> None:
    """In four builds of five it is commented out: numbers come out as they are."""
    output = run(width, row(I1=b"7", I13=b"1234"))[0]
    assert column(output, "I1") != [7]
    assert is_logarithm(logarithms(output, "I1")[0], 8)
    assert is_logarithm(logarithms(output, "I13")[0], 1235)


@at_every_width
def test_q10_rows_come_out_while_others_come_in(width: int) -> None:
    """Its kernels either take data or give them."""
    circuit = cleared_circuit(width)
    _, _, run, _ = check(circuit, [criteo_rows(np.random.default_rng(1), 60)])
    meanwhile = run.received_at["o"] < run.taken_at["i"][-1]
    assert meanwhile.sum() > 40 * circuit.parameters.beats


@at_every_width
def test_q11_the_largest_number(width: int) -> None:
    """x + 1 overflows at 2^31 − 1, and the logarithm of a negative number is not one."""
    found = logarithms(run(width, row(I1=b"2147483647", I2=b"-2147483648"))[0], "I1")
    assert is_logarithm(found[0], 1 << 31)
