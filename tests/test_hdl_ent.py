"""The parts of the EN-T array, one by one, in Amaranth's own simulator."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from amaranth.hdl import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.ent import recode
from golden.integers import all_signed, signed_range
from hdl.adder import FullAdder
from hdl.compressor import DotDiagram
from hdl.datapath import Comparison, Datapath, find_datapath, find_datapaths
from hdl.encoding import Encoding, Select, decode, encode
from hdl.ent import DATAPATH
from hdl.ent.configurations import ArrayConfiguration, PEConfiguration
from hdl.ent.parameters import Parameters
from hdl.ent.stage import FAN_OUT, broadcast, levels
from hdl.export import Unit, export, place
from hdl.partial_product import add_missing_offset, add_product, product_offset
from sim.ent.code import code_words
from sim.ports import top_ports

every_encoding = pytest.mark.parametrize("encoding", list(Encoding))
small_widths = pytest.mark.parametrize("bits", [4, 8])

Settle = Callable[..., None]
"""Drives signals, given as pairs of signal and value, and lets the logic settle."""


def simulate(m: Module, check: Callable[[Callable[..., Any], Settle], None]) -> None:
    """Run ``check(get, settle)`` on a combinational module; it must have run to its end."""
    finished = []

    async def bench(context: Any) -> None:
        def settle(*values: tuple[Signal, int]) -> None:
            for signal, value in values:
                context.set(signal, value)

        check(context.get, settle)
        finished.append(True)

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    assert finished == [True]


def digit_of(get: Callable[..., int], select: Select) -> int:
    one, two, negative = get(select.one), get(select.two), get(select.negative)
    assert not (one and two)
    if select.has_minus_two:
        return (one + 2 * two) * (-1 if negative else 1)
    assert one + two + negative <= 1
    return one + 2 * two - negative


@small_widths
@every_encoding
def test_codes_and_digits_of_every_value(encoding: Encoding, bits: int) -> None:
    m = Module()
    operand = Signal(bits)
    code = encode(m, operand, encoding)
    selects = decode(code, encoding, bits // 2)
    assert len(code) == encoding.code_width(bits)
    values = all_signed(bits)
    words = code_words(values, Parameters(bits, 2 * bits, encoding, "edge"))
    digits = recode(values, bits, encoding.value).tolist()

    def check(get: Callable[..., int], settle: Settle) -> None:
        for value, word, expected in zip(values.tolist(), words, digits, strict=True):
            settle((operand, value & (1 << bits) - 1))
            assert get(code) == word, value
            assert [digit_of(get, select) for select in selects] == expected, value
            for select in selects:
                if get(select.two) and get(select.negative):
                    assert select.has_minus_two, value

    simulate(m, check)


@small_widths
@every_encoding
def test_code_words_are_distinct(encoding: Encoding, bits: int) -> None:
    """The testbenches' own coder, which the units above are compared with, loses nothing."""
    words = code_words(all_signed(bits), Parameters(bits, 2 * bits, encoding, "edge"))
    assert len(set(words)) == 1 << bits
    assert max(words).bit_length() <= encoding.code_width(bits)


@dataclass
class RecordedDots(DotDiagram):
    """A dot diagram that only remembers what was added to it."""

    width: int
    words: list[tuple[Value, int]] = field(default_factory=list)
    bits: list[tuple[Value, int]] = field(default_factory=list)

    def add_word(self, word: Value, column: int = 0, *, arrival: int = 0) -> None:
        self.words.append((word, column))

    def add_bit(self, bit: Any, column: int, *, arrival: int = 0) -> None:
        self.bits.append((Value.cast(bit), column))


def operands_of_every_digit(bits: int, encoding: Encoding) -> list[int]:
    """Operands in which every digit occurs at every place, from all bits that may lead to it."""
    chosen: dict[tuple[int, int, int, bool], int] = {}
    values = all_signed(bits)
    for value, digits in zip(values.tolist(), recode(values, bits, encoding.value), strict=True):
        for position, digit in enumerate(digits.tolist()):
            triple = value << 1 >> 2 * position & 7
            chosen.setdefault((position, digit, triple, value < 0), value)
    return sorted(set(chosen.values()))


@small_widths
@every_encoding
def test_every_row_of_every_digit(encoding: Encoding, bits: int) -> None:
    """Row i is digit i times the multiplicand in one's complement, its sign bit inverted."""
    m = Module()
    operand, multiplicand = Signal(bits), Signal(bits)
    selects = decode(encode(m, operand, encoding), encoding, bits // 2)
    dots = RecordedDots(2 * bits)
    add_product(m, dots, selects, multiplicand, correct=True)
    assert [column for _, column in dots.words] == list(range(0, bits, 2))
    assert [column for _, column in dots.bits] == list(range(0, bits, 2))
    assert all(len(word) == bits + 1 for word, _ in dots.words)
    covered = set()

    def check(get: Callable[..., int], settle: Settle) -> None:
        for a in operands_of_every_digit(bits, encoding):
            settle((operand, a & (1 << bits) - 1))
            digits = recode(a, bits, encoding.value).tolist()
            negatives = [get(bit) for bit, _ in dots.bits]
            for b in all_signed(bits).tolist():
                settle((multiplicand, b & (1 << bits) - 1))
                for (word, _), digit, negative in zip(dots.words, digits, negatives, strict=True):
                    row = (digit * b - negative) & ((2 << bits) - 1)
                    assert get(word) == row ^ 1 << bits, (a, b, digit, negative)
            for position, digit in enumerate(digits):
                assert digit >= 0 or negatives[position], (a, position)
                assert digit <= 0 or not negatives[position], (a, position)
                covered.add((position, digit, negatives[position]))

    simulate(m, check)
    top = bits // 2 - 1
    at_the_top = {(0, 0), (1, 0), (2, 0), (-1, 1), (-2, 1)}
    if encoding is not Encoding.ONE_HOT:
        at_the_top.add((0, 1))
    assert at_the_top == {(digit, sign) for position, digit, sign in covered if position == top}
    assert {(0, 0, 0), (0, 1, 0), (0, -1, 1)} <= covered


@pytest.mark.parametrize("correct", [True, False])
@every_encoding
def test_sum_of_all_rows(encoding: Encoding, correct: bool) -> None:
    """All 4-bit products; two more columns than needed show that the sum stays below 2^2n."""
    bits = 4
    m = Module()
    operand, multiplicand = Signal(bits), Signal(bits)
    selects = decode(encode(m, operand, encoding), encoding, bits // 2)
    dots = DotDiagram(2 * bits + 2)
    add_product(m, dots, selects, multiplicand, correct=correct)
    total = dots.sum(m, None)

    def check(get: Callable[..., int], settle: Settle) -> None:
        for a in all_signed(bits).tolist():
            for b in all_signed(bits).tolist():
                settle((operand, a & 15), (multiplicand, b & 15))
                short = sum(get(select.negative) << 2 * i for i, select in enumerate(selects))
                expected = a * b + 0x50 - (0 if correct else short)
                assert get(total) == expected, (a, b)
                assert 0 <= expected < 1 << 2 * bits

    simulate(m, check)


def test_quiet_rows() -> None:
    """All 4-bit products: a digit 0 adds nothing at all, which the missing offset makes up for."""
    bits = 4
    m = Module()
    operand, multiplicand = Signal(bits), Signal(bits)
    selects = decode(encode(m, operand, Encoding.ONE_HOT), Encoding.ONE_HOT, bits // 2)
    rows, missing = RecordedDots(2 * bits), RecordedDots(2 * bits)
    add_product(m, rows, selects, multiplicand, correct=True, quiet=True)
    add_missing_offset(missing, selects, bits)

    def check(get: Callable[..., int], settle: Settle) -> None:
        for a in all_signed(bits).tolist():
            settle((operand, a & 15))
            digits = recode(a, bits, "onehot").tolist()
            short = sum(get(bit) << column for bit, column in missing.bits)
            assert short == sum(16 << 2 * i for i, digit in enumerate(digits) if digit == 0)
            for b in all_signed(bits).tolist():
                settle((multiplicand, b & 15))
                words = [get(word) for word, _ in rows.words]
                assert all(digit or not word for digit, word in zip(digits, words, strict=True))
                total = sum(get(value) << column for value, column in rows.words + rows.bits)
                assert total == a * b + 0x50 - short, (a, b)

    simulate(m, check)


@pytest.mark.parametrize(("bits", "offset"), [(4, 0x50), (8, 0x5500), (16, 0x55550000)])
def test_product_offset(bits: int, offset: int) -> None:
    assert product_offset(bits) == offset


@st.composite
def diagrams(draw: st.DrawFn) -> tuple[int, list[tuple[int, int, int]], list[int]]:
    """Width of the sum, words as (bits, column, arrival), constants."""
    width = draw(st.sampled_from([1, 2, 3]) | st.integers(4, 12))
    word = st.tuples(st.integers(1, 6), st.integers(0, width + 1), st.integers(0, 5))
    words = draw(st.lists(word, max_size=7))
    constants = draw(st.lists(st.integers(-(2 << width), 2 << width), max_size=3))
    return width, words, constants


def check_diagram(
    width: int, words: list[tuple[int, int, int]], constants: list[int], values: list[list[int]]
) -> None:
    m = Module()
    dots = DotDiagram(width)
    signals = [Signal(bits, name=f"word_{i}") for i, (bits, _, _) in enumerate(words)]
    for signal, (_, column, arrival) in zip(signals, words, strict=True):
        dots.add_word(signal, column, arrival=arrival)
    for constant in constants:
        dots.add_constant(constant)
    total = dots.sum(m, None)
    assert len(total) == width

    def check(get: Callable[..., int], settle: Settle) -> None:
        for row in values:
            settle(*zip(signals, row, strict=True))
            terms = (value << column for value, (_, column, _) in zip(row, words, strict=True))
            assert get(total) == (sum(terms) + sum(constants)) % (1 << width), row

    simulate(m, check)


@settings(max_examples=60, deadline=None)
@given(diagram=diagrams(), data=st.data())
def test_dot_diagram(
    diagram: tuple[int, list[tuple[int, int, int]], list[int]], data: st.DataObject
) -> None:
    width, words, constants = diagram
    row = st.tuples(*(st.integers(0, (1 << bits) - 1) for bits, _, _ in words)).map(list)
    values = data.draw(st.lists(row, min_size=1, max_size=6))
    ones = [(1 << bits) - 1 for bits, _, _ in words]
    check_diagram(width, words, constants, [*values, ones, [0] * len(words)])


@pytest.mark.parametrize("width", [1, 2, 64])
@pytest.mark.parametrize("constants", [[], [-1], [1], [-1, -1], [1 << 63, 1 << 63]])
def test_dot_diagram_corners(width: int, constants: list[int]) -> None:
    """Nothing but a constant; one column; all bits of a 64-bit word; bits at and above the top."""
    check_diagram(width, [], constants, [[]])
    check_diagram(width, [(width, 0, 0)], constants, [[0], [1], [(1 << width) - 1]])
    top = [(1, width - 1, 0), (2, width - 1, 3), (4, width, 0)]
    check_diagram(width, top, constants, [[a, b, 15] for a in (0, 1) for b in range(4)])


def test_full_adder() -> None:
    adder = place(None, FullAdder)  # outside an export a unit is itself
    assert isinstance(adder, FullAdder)

    def check(get: Callable[..., int], settle: Settle) -> None:
        for number in range(8):
            a, b, c = number & 1, number >> 1 & 1, number >> 2
            settle((adder.a, a), (adder.b, b), (adder.c, c))
            assert (get(adder.carry), get(adder.sum)) == divmod(a + b + c, 2)

    m = Module()
    m.submodules.adder = adder
    simulate(m, check)


PARAMETERS = {
    "operand_bits": ((0, 2, 7, 32, -8, None, "8"), "4, 8, 16"),
    "accumulator_bits": ((15, 65, 0, -32, None, "32"), "8-bit operands are 16 to 64"),
    "encoding": (("Booth", "mbe", "", None, 3), "'booth', 'ent', 'nr4sd', 'onehot'"),
    "encode_at": (("PE", "array", "", None), "'pe', 'pe-register' and 'edge'"),
    "correct_at": (("none", "drain", "", None), "'pe', 'edge' and 'beat'"),
    "accumulation": (("Fused", "carry_save", "", None), "'separate', 'fused' and 'carry-save'"),
    "lanes": ((0, -1, 65, None, "2"), "1 to 64"),
}
ARRAY = {
    "rows": ((0, -1, 513, None, "4"), "1 to 512"),
    "columns": ((0, -1, 513, None, "4"), "1 to 512"),
    "buffered_tiles": ((0, -1, 17, None, "1"), "1 to 16"),
    "operands": (("hop", "", None), "'systolic' and 'broadcast'"),
}


def bad_values(fields: dict[str, tuple[tuple, str]]) -> list[Any]:
    return [
        pytest.param(name, value, allowed, id=f"{name}={value!r}")
        for name, (values, allowed) in fields.items()
        for value in values
    ]


@pytest.mark.parametrize(("name", "value", "allowed"), bad_values(PARAMETERS))
def test_parameters_refuse(name: str, value: Any, allowed: str) -> None:
    message = rf"^{name} is {re.escape(repr(value))}; allowed (are|for) .*{re.escape(allowed)}$"
    with pytest.raises(ValueError, match=message):
        Parameters(**{name: value})


@pytest.mark.parametrize(("name", "value", "allowed"), bad_values(ARRAY))
def test_array_configuration_refuses(name: str, value: Any, allowed: str) -> None:
    message = rf"^{name} is {re.escape(repr(value))}; allowed are {allowed}$"
    with pytest.raises(ValueError, match=message):
        ArrayConfiguration(**{"rows": 2, "columns": 2, name: value})


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_accumulator_has_room_for_one_product(bits: int) -> None:
    """The narrowest allowed accumulator holds any single product, the longest exact tile too."""
    assert Parameters(bits, 2 * bits).longest_exact_tile >= 1
    with pytest.raises(ValueError, match=f"are {2 * bits} to 64"):
        Parameters(bits, 2 * bits - 1)
    low, _ = signed_range(bits)
    for accumulator_bits in (2 * bits, 2 * bits + 3, 64):
        longest = Parameters(bits, accumulator_bits).longest_exact_tile
        _, largest = signed_range(accumulator_bits)
        assert longest * low * low <= largest < (longest + 1) * low * low


def test_names_tell_configurations_apart() -> None:
    names = [configuration.name for configuration in DATAPATH.configurations]
    assert len(set(names)) == len(names)
    tiles = {ArrayConfiguration(2, 2, buffered_tiles=n).name for n in (1, 2, 3)}
    assert len(tiles) == 3
    assert ArrayConfiguration(2, 3).name == "2x3-int8-acc32-nr4sd-edge-edge"


#: Modules that are dissolved in those that place them.
NOT_KEPT = {"full_adder", "top", "top.array", "top.drain"}


@pytest.mark.parametrize(
    ("sinks", "count"), [(1, 0), (4, 0), (5, 1), (16, 1), (17, 2), (64, 2), (65, 3)]
)
def test_levels_of_a_tree(sinks: int, count: int) -> None:
    """No register drives more than four units, nor is there a level too many."""
    assert levels(sinks) == count
    m = Module()
    leaves = broadcast(m, None, Signal(3, name="root"), sinks, count + 1, name="tree")
    assert len(leaves) == sinks
    for leaf in leaves:
        assert 1 <= sum(leaf is each for each in leaves) <= FAN_OUT


def modules(rtlil: str) -> list[str]:
    return re.findall(r"^module \\(\S+)$", rtlil, re.MULTILINE)


def instances(rtlil: str, module: str) -> int:
    return len(re.findall(rf"^  cell \\{module} ", rtlil, re.MULTILINE))


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 3), (6, 4)])
def test_repeated_units_are_exported_once(rows: int, columns: int) -> None:
    rtlil = export(ArrayConfiguration(rows, columns, Parameters(4, 12)).build())
    found = modules(rtlil)
    assert sorted(found) == sorted(set(found))
    units = {
        "pe": rows * columns,
        "row_edge": rows,
        "row_correction": rows,
        "select": columns + 1,
        "column_foot": columns,
        "column_memory": columns,
    }
    assert {*units, "full_adder"} < set(found)
    assert {name: instances(rtlil, name) for name in units} == units
    for name in units:
        assert re.search(
            rf"attribute \\keep_hierarchy 1\n(attribute .*\n)*module \\{name}\n", rtlil
        )
    # What is left in the top module does not grow with the number of PEs.
    assert rtlil.count("attribute \\keep_hierarchy 1\n") == len(found) - len(NOT_KEPT & {*found})


class TwoWords(Unit):
    """A unit of two words in its name, with one register and one adder."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        super().__init__({"b": In(parameters.operand_bits), "o": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.adder = adder = place(platform, FullAdder)
        m.d.comb += [adder.a.eq(self.b[0]), adder.b.eq(self.b[1]), adder.c.eq(self.o)]
        m.d.sync += self.o.eq(adder.sum)
        return m


class Four(wiring.Component):
    """Places two units twice each."""

    b: In(8)
    o: Out(4)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for index, bits in enumerate((4, 8, 4, 8)):
            unit = place(platform, TwoWords, Parameters(bits, 16))
            m.submodules[f"unit_{index}"] = unit
            m.d.comb += [unit.b.eq(self.b >> index), self.o[index].eq(unit.o)]
        return m


def test_units_of_other_parameters_are_other_modules() -> None:
    rtlil = export(Four())
    assert modules(rtlil) == ["full_adder", "two_words", "two_words_1", "top"]
    assert [instances(rtlil, name) for name in ("two_words", "two_words_1")] == [2, 2]
    assert [instances(rtlil, name) for name in ("full_adder", "top")] == [2, 0]
    assert "keep_hierarchy" not in rtlil
    units = re.findall(r"^  cell \\two_words\S* [^\n]*\n(.*?)^  end$", rtlil, re.M | re.S)
    for connections in units:
        assert {"\\b", "\\o", "\\clk", "\\rst"} == set(re.findall(r"connect (\\\S+) ", connections))
    adder = re.search(r"^  cell \\full_adder [^\n]*\n(.*?)^  end$", rtlil, re.M | re.S)
    assert adder is not None
    assert "clk" not in adder[1]


@pytest.mark.parametrize("encoding", list(Encoding))
def test_ports_of_the_multiplier(encoding: Encoding) -> None:
    """As the docstring names them, each stream of valid, ready and payload; clk and rst."""
    rows, columns = 2, 3
    configuration = ArrayConfiguration(rows, columns, Parameters(4, 12, encoding))
    ports = {port.name: port for port in top_ports(export(configuration.build()))}
    assert {name: (port.width, port.is_input) for name, port in ports.items()} == {
        "clk": (1, True),
        "rst": (1, True),
        "i_a__valid": (1, True),
        "i_a__ready": (1, False),
        "i_a__payload": (rows * 4 + 1, True),
        "i_b__valid": (1, True),
        "i_b__ready": (1, False),
        "i_b__payload": (columns * 4 + 1, True),
        "o__valid": (1, False),
        "o__ready": (1, True),
        "o__payload": (columns * 12 + 2 + 1, False),
        "status": (3 + 2 + 8, False),
    }


@pytest.mark.parametrize("encode_at", ["pe", "edge"])
@every_encoding
def test_ports_of_a_pe(encoding: Encoding, encode_at: Any) -> None:
    configuration = PEConfiguration(Parameters(8, 20, encoding, encode_at, "pe"))
    codes = {"booth": 12, "ent": 9, "nr4sd": 9, "onehot": 12}
    width = codes[encoding.value] if encode_at == "edge" else 8
    ports = {port.name: port for port in top_ports(export(configuration.build()))}
    assert {name: (port.width, port.is_input) for name, port in ports.items()} == {
        "clk": (1, True),
        "rst": (1, True),
        "a": (width, True),
        "b": (8, True),
        "last": (1, True),
        "a_next": (width, False),
        "b_next": (8, False),
        "last_next": (1, False),
        "accumulator": (20, False),
        "done": (1, False),
    }


def test_every_configuration_exports_one_clock_and_reset() -> None:
    """The small ones; elaborating all would take long and say no more."""
    for configuration in (DATAPATH.by_name[DATAPATH.small], DATAPATH.configurations[1]):
        rtlil = export(configuration.build())
        names = [port.name for port in top_ports(rtlil)]
        assert names.count("clk") == names.count("rst") == 1
        assert modules(rtlil).count("top") == 1


class Odd(wiring.Component):
    """A component without registers, whose port is a single bit."""

    a: In(1)
    o: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.o.eq(~self.a)
        return m


def test_a_combinational_top_exports_clock_and_reset_all_the_same() -> None:
    """Every testbench has something to count cycles by, and every recording too."""
    ports = top_ports(export(Odd()))
    assert [(port.name, port.is_input) for port in ports] == [
        ("a", True),
        ("clk", True),
        ("rst", True),
        ("o", False),
    ]


def test_unknown_datapath_lists_what_there_is() -> None:
    known = ", ".join(find_datapaths())
    assert "ent" in known.split(", ")
    for name in ("nope", "export", "../ent", "", "ent.pe"):
        with pytest.raises(ValueError, match=re.escape(f"{name!r}; there are: {known}")):
            find_datapath(name)


def test_unknown_configuration_lists_what_there_is() -> None:
    with pytest.raises(ValueError, match="no configuration 'nope'") as caught:
        DATAPATH.configuration("nope")
    listed = [line.strip() for line in str(caught.value).splitlines()[1:]]
    assert listed == [configuration.name for configuration in DATAPATH.configurations]
    assert find_datapath("ent").configuration(DATAPATH.small).name == DATAPATH.small


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"small": "nope"}, "'nope'"),
        ({"mapped": ("nope",)}, "'nope'"),
        ({"comparisons": (Comparison("c", "nope", DATAPATH.small),)}, "'nope'"),
        ({"configurations": (*DATAPATH.configurations, DATAPATH.configurations[0])}, "same name"),
    ],
)
def test_a_datapath_validates_itself(change: dict[str, Any], message: str) -> None:
    names = ("name", "summary", "paper", "work", "configurations", "small", "mapped")
    fields = {name: getattr(DATAPATH, name) for name in names} | change
    with pytest.raises(ValueError, match=f"datapath ent.*{message}"):
        Datapath(**fields)
