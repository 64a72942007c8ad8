"""Faults in the EN-T datapath that its testbenches must find."""

from mutation import Mutant

PE = "pe-int4-acc12-nr4sd-edge-edge"
PE_ALONE = "pe-int4-acc12-booth-pe-pe"
PE_INT8 = "pe-int8-acc16-nr4sd-pe-pe"
SMALL = "2x2-int4-acc12-nr4sd-edge-edge"
SINGLE = "1x1-int4-acc8-booth-edge-edge"
BUFFERED = f"{SMALL}-buffer2"
TALL = "5x3-int8-acc16-nr4sd-pe-edge"
CARRY_SAVE = "3x4-int8-acc20-ent-edge-edge-carrysave"
REGISTERED = "2x3-int4-acc12-booth-peregister-pe-carrysave-buffer2"
SEPARATE = "pe-3lanes-int4-acc12-booth-pe-pe-separate"
MATRIX = "broadcast-9x3-int4-acc12-booth-pe-pe"
CUBE = "broadcast-2x10x2-int4-acc12-ent-edge-edge-carrysave"
TREE = "broadcast-1x3x4-int8-acc24-nr4sd-edge-edge"
#: Added to every copy: tiles of it may end as close together as the array allows.
ADDED = "ArrayConfiguration(2, 2, _parameters(NINE_WIRES, 4, 12), 2)"

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
        "m.d.sync += [word.eq(total) for",
        "m.d.sync += [word.eq(total[:-1]) for",
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
        "ent/systolic.py",
        'name=f"last_skew_{row}", init=1',
        'name=f"last_skew_{row}", init=0',
        TALL,
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
        "(reserved <= depth - rows) & (spacing == 0)",
        "(reserved <= depth - rows) & (spacing <= 1)",
        BUFFERED,
        "every_product",
    ),
    Mutant(
        "a tile may end with room for all of its rows but one",
        "ent/top.py",
        "(reserved <= depth - rows)",
        "(reserved <= depth - rows + 1)",
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
        "ent/array.py",
        "self.written.eq(writes[-1])",
        "self.written.eq(writes[0])",
        SMALL,
        "every_product",
    ),
    Mutant(
        "a tile's first row has the error of the tile before",
        "ent/top.py",
        "Mux(end, error.as_value(), held.as_value())",
        "held.as_value()",
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
        "status.busy.eq(inside |",
        "status.busy.eq(0 & inside |",
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
    Mutant(
        "a result's segments do not pass their carry on",
        "ent/resolve.py",
        "carry = part[-1]",
        "carry = part[-1] & 0",
        CARRY_SAVE,
        "shapes_under_stalls",
    ),
    Mutant(
        "operands do not wait for the correction",
        "ent/array.py",
        "return max(0, corrections - results), max(0, results - corrections)",
        "return max(0, corrections - results - 1), max(0, results - corrections)",
        CARRY_SAVE,
        "every_product",
    ),
    Mutant(
        "the correction skips a column",
        "ent/array.py",
        "corrections.append(foot.correction_next)",
        "corrections.append(foot.correction_next if not column else corrections[-1])",
        CARRY_SAVE,
        "shapes_under_stalls",
    ),
    Mutant(
        "a PE with a register starts anew a beat early",
        "ent/pe.py",
        'delay(m, restart, 1, name="restart", init=1)',
        "restart",
        REGISTERED,
        "shapes_under_stalls",
    ),
    Mutant(
        "a sum of products is taken for positive",
        "ent/multiply_accumulate.py",
        "product[-1].replicate(p.accumulator_bits - len(product))",
        "0",
        SEPARATE,
        "running_accumulation",
    ),
    Mutant(
        "a beat comes while the results wait in the PEs",
        "ent/top.py",
        "(spacing == 0) if self.array.busy_cycles else 1",
        "1",
        MATRIX,
        "shapes_under_stalls",
    ),
    Mutant(
        "an idle cycle makes the PEs start anew",
        "ent/top.py",
        "array.first.eq(take & ~inside)",
        "array.first.eq(~inside)",
        MATRIX,
        "every_product",
    ),
    Mutant(
        "rows leave one cycle early",
        "ent/broadcast.py",
        'latency - depth, "strobe"',
        'latency - depth - 1, "strobe"',
        MATRIX,
        "every_product",
    ),
    Mutant(
        "the trees are not equally deep",
        "ent/broadcast.py",
        'depth, name=f"b_tree_{column}"',
        'depth + 1, name=f"b_tree_{column}"',
        CUBE,
        "shapes_under_stalls",
    ),
    Mutant(
        "the row correction does not count the last lane's constant",
        "ent/correction.py",
        "dots.add_constant(-product_offset(p.operand_bits))",
        "dots.add_constant(-product_offset(p.operand_bits) if lane < p.lanes - 1 else 0)",
        TREE,
        "every_product",
    ),
    Mutant(
        "a lane gets its neighbour's multiplicand",
        "ent/pe.py",
        "list(lanes_of(b, p.lanes))",
        "list(lanes_of(b, p.lanes))[::-1]",
        TREE,
        "shapes_under_stalls",
    ),
)
