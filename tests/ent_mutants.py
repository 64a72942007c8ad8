"""Faults in the EN-T datapath that its testbenches must find."""

from mutation import Mutant

PE = "pe-int4-acc12-nr4sd-edge-edge"
PE_ALONE = "pe-int4-acc12-booth-pe-pe"
PE_INT8 = "pe-int8-acc32-nr4sd-pe-pe"
SMALL = "2x2-int4-acc12-nr4sd-edge-edge"
SINGLE = "1x1-int4-acc8-booth-edge-edge"
BUFFERED = f"{SMALL}-buffer2"
#: Added to every copy: tiles of it may end as close together as the array allows.
ADDED = 'ArrayConfiguration(2, 2, _parameters(CANDIDATES["both at the edge"], 4, 12), 2)'

MUTANTS = (
    Mutant(
        "a carry does not make the top digit 2",
        "encoding.py",
        "two=(high & ~low & ~carry) | (~high & low & carry),",
        "two=high & ~low & ~carry,",
        PE,
        "all_products",
    ),
    Mutant(
        "a zero digit's inverted row gets no 1",
        "partial_product.py",
        "dots.add_bit(select.negative, column + 2 * digit,",
        "dots.add_bit(select.negative & (select.one | select.two), column + 2 * digit,",
        PE_ALONE,
        "all_products",
    ),
    Mutant(
        "a zero digit counts for nothing in the row correction",
        "partial_product.py",
        "dots.add_bit(select.negative, column + 2 * digit,",
        "dots.add_bit(select.negative & (select.one | select.two), column + 2 * digit,",
        SMALL,
        "every_product",
    ),
    Mutant(
        "the rows' constant is off by one column",
        "partial_product.py",
        "1 << 2 * digit + operand_bits for",
        "1 << 2 * digit + operand_bits + 1 for",
        PE_ALONE,
        "all_products",
    ),
    Mutant(
        "the top digit's correction has the wrong weight",
        "partial_product.py",
        "dots.add_bit(select.negative, column + 2 * digit,",
        "dots.add_bit(select.negative, column + 2 * digit + (digit == len(selects) - 1),",
        SMALL,
        "every_product",
    ),
    Mutant(
        "the carry chain is broken before the last digit",
        "encoding.py",
        "carry_out.eq(high & (low | carry))",
        "carry_out.eq(high & (low | carry) if i < digits - 1 else high & low)",
        PE_INT8,
        "all_products",
    ),
    Mutant(
        "the accumulator's top bit is cut off",
        "ent/pe.py",
        "accumulator.eq(self._accumulate(m, platform, accumulator))",
        "accumulator.eq(self._accumulate(m, platform, accumulator)[:-1])",
        PE,
        "running_accumulation",
    ),
    Mutant(
        "a PE does not start anew after a reset",
        "ent/pe.py",
        '"last_next": Out(1, init=1)',
        '"last_next": Out(1)',
        PE,
        "all_products",
    ),
    Mutant(
        "what is in the skew registers survives a reset",
        "ent/array.py",
        'name=f"last_skew_{i}", init=1',
        'name=f"last_skew_{i}", init=0',
        SMALL,
        "reset_in_mid_tile",
    ),
    Mutant(
        "results of a tile that a reset discarded are written",
        "ent/top.py",
        "end | (spacing != 0) & ~discarding",
        "end | (spacing != 0)",
        SMALL,
        "every_product",
    ),
    Mutant(
        "operands count in idle cycles",
        "ent/top.py",
        "a.values.as_value() & take.replicate(len(a.values.as_value()))",
        "a.values.as_value()",
        SMALL,
        "every_product",
    ),
    Mutant(
        "tiles may end one cycle too close together",
        "ent/top.py",
        "& (spacing == 0))",
        "& (spacing <= 1))",
        BUFFERED,
        "every_product",
    ),
    Mutant(
        "a tile may end with room for all of its rows but one",
        "ent/top.py",
        "(reserved <= self.depth - rows)",
        "(reserved <= self.depth - rows + 1)",
        SMALL,
        "output_blocked",
    ),
    Mutant(
        "an output is withdrawn while it waits",
        "ent/drain.py",
        "with m.Elif(self.o.ready):",
        "with m.Else():",
        SMALL,
        "shapes_under_stalls",
    ),
    Mutant(
        "a row is read before its last column is written",
        "ent/drain.py",
        "self.write, self.column_count - 1,",
        "self.write, self.column_count - 2,",
        SMALL,
        "every_product",
    ),
    Mutant(
        "errors reach the drain one cycle early",
        "ent/top.py",
        "ARRAY_LATENCY - 1, name",
        "ARRAY_LATENCY - 2, name",
        BUFFERED,
        "mismatched_lasts",
    ),
    Mutant(
        "a correct tile clears the sticky errors",
        "ent/top.py",
        "        with m.If(take & ends & error.as_value().any()):\n"
        "            m.d.sync += sticky.eq(sticky.as_value() | error.as_value())\n",
        "        with m.If(take & ends):\n"
        "            m.d.sync += sticky.eq(error.as_value())\n"
        "        with m.If(take & ends & error.as_value().any()):\n",
        SMALL,
        "mismatched_lasts",
    ),
    Mutant(
        "errors are counted by beat",
        "ent/top.py",
        "with m.If(take & ends & error.as_value().any())",
        "with m.If(take & error.as_value().any())",
        SINGLE,
        "mismatched_lasts",
    ),
    Mutant(
        "the overflow flag rises one beat late",
        "ent/top.py",
        "longest = self.parameters.longest_exact_tile",
        "longest = self.parameters.longest_exact_tile + 1",
        SMALL,
        "accumulator_extremes",
    ),
    Mutant(
        "the multiplier never says it is busy",
        "ent/top.py",
        "status.busy.eq(self._tile_open",
        "status.busy.eq(0 * self._tile_open",
        SMALL,
        "shapes_under_stalls",
    ),
    Mutant(
        "the error counter wraps",
        "ent/top.py",
        "with m.If(~errors.all()):",
        "with m.If(error.as_value().any()):",
        SMALL,
        "mismatched_lasts",
    ),
    Mutant(
        "what is to be dropped ends with a last that is not valid",
        "ent/top.py",
        "with m.If(a.valid & a.payload.last):",
        "with m.If(a.payload.last):",
        SMALL,
        "mismatched_lasts",
    ),
    Mutant(
        "a tile may end while a reset's results are in the array",
        "ent/top.py",
        "spacing = Signal(range(rows), init=rows - 1)",
        "spacing = Signal(range(rows))",
        SMALL,
        "every_product",
    ),
)
