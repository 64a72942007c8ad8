"""The unit read literally: one instruction and one lane at a time, on registers that are text.

Arithmetic is that of ``golden.fp16``, which has tests of its own; registers, masks, shapes, boxing
and errors are done again here, from their description and not from the golden model of the unit.
"""

from golden import fp16
from golden.float_format import FloatFormat
from golden.fp16_unit import Instruction, Result, Unit

CODES = """
0 ADD 1 SUB 2 MUL 3 FMADD 4 FMSUB 5 FNMSUB 6 FNMADD 8 EQ 9 NE 10 LT 11 LE 12 GT 13 GE 14 MIN 15 MAX
16 SGNJ 17 SGNJN 18 SGNJX 19 CLASSIFY 24 CONVERT 25 CONVERT_HIGH 28 PACK_A 29 PACK_B 30 PACK_C
31 PACK_D 32 DIV 33 SQRT 40 DOTP 41 NDOTP 42 VSUM 44 EXDOTP 45 EXNDOTP 46 EXVSUM 48 REDUCE_SUM
49 REDUCE_MIN 50 REDUCE_MAX 56 BROADCAST 57 SHUFFLE 58 INSERT 59 EXTRACT
"""


def refused(unit: Unit, item: Instruction) -> bool:
    code, positions = item.operation, max(2, unit.lanes)
    if code not in [int(word) for word in CODES.split()[::2]]:
        return True
    if item.mode > 4 or item.form == 3 or (code == 19 and unit.lane.width < 10):
        return True
    if item.form == 1 and (code // 8 in (5, 6, 7) or code in (25, 28, 29, 30, 31)):
        return True
    if code in (24, 25):
        reserved = item.source > 4 or item.destination > 4
        both = item.source in (3, 4) and item.destination in (3, 4)
        return reserved or both or (code == 25 and (item.source == 2) == (item.destination == 2))
    if code in (28, 29, 30, 31):
        missing = 2 * (code - 28) + 1 >= positions
        return item.source != 2 or item.destination not in (0, 1) or missing
    return False


class Literal:
    """One instruction, element by element, on registers that are strings of bits."""

    def __init__(self, unit: Unit, item: Instruction) -> None:
        self.unit, self.item = unit, item
        self.lane, self.wide, self.w = unit.lane, unit.wide, unit.lane.width
        self.positions = max(2, unit.lanes)
        self.pairs = self.positions // 2
        self.a, self.b, self.c = (self.text(x) for x in (item.a, item.b, item.c))
        self.result, self.flags = self.c, 0

    def text(self, register: int) -> str:
        return f"{register:0{self.positions * self.w}b}"

    def bits(self, register: str, width: int, element: int) -> int:
        end = len(register) - width * element
        return int(register[end - width : end], 2)

    def number(self, register: str, fmt: FloatFormat, element: int) -> int:
        if self.item.form == 1 and "0" in register[: len(register) - fmt.width]:
            return fmt.canonical_nan
        return self.bits(register, fmt.width, element)

    def active(self, element: int) -> bool:
        return self.item.mask >> element & 1 == 1

    def put(self, element: int, width: int, found: tuple, above: str | None = None) -> None:
        """Write an element; ``above`` is what fills the register if it is a scalar."""
        if not self.active(element):
            return
        value, flags = (int(part) for part in found)
        self.flags |= flags
        self.write(element, width, value)
        if above is not None:
            digits = f"{value:0{width}b}"
            sign = {"ones": "1", "zeros": "0", "sign": digits[0]}[above]
            self.result = digits.rjust(len(self.c), sign)

    def write(self, element: int, width: int, value: int) -> None:
        end = len(self.result) - width * element
        digits = f"{value:0{width}b}"
        assert len(digits) == width
        self.result = self.result[: end - width] + digits + self.result[end:]

    def execute(self) -> Result:
        item = self.item
        if refused(self.unit, item):
            return Result(item.tag, 1, 0, 0)
        {3: self.convert, 5: self.dot, 6: self.reduce, 7: self.move}.get(
            item.operation // 8, self.by_lane
        )()
        return Result(item.tag, 0, self.flags, int(self.result, 2))

    def second(self, element: int) -> int:
        return self.number(self.b, self.lane, 0 if self.item.form == 2 else element)

    def by_lane(self) -> None:
        fmt, mode, code = self.lane, self.item.mode, self.item.operation
        one, sign = fmt.bias << fmt.fraction_bits, fmt.sign_bit
        compares = 8 <= code <= 13
        if compares:
            self.result = self.text(0)
        for i in range(1 if self.item.form == 1 else self.unit.lanes):
            a, b, c = self.number(self.a, fmt, i), self.second(i), self.number(self.c, fmt, i)
            above: str | None = "ones"
            if code == 0:
                found = fp16.fused_multiply_add(a, one, b, fmt, mode)
            elif code == 1:
                found = fp16.fused_multiply_add(a, one, b ^ sign, fmt, mode)
            elif code == 2:
                found = fp16.multiply(a, b, fmt, mode)
            elif code < 8:
                minus_product, minus_addend = {3: (0, 0), 4: (0, 1), 5: (1, 0), 6: (1, 1)}[code]
                found = fp16.fused_multiply_add(
                    a ^ minus_product * sign, b, c ^ minus_addend * sign, fmt, mode
                )
            elif compares:
                kind = ("eq", "ne", "lt", "le", "gt", "ge")[code - 8]
                outcome, raised = fp16.compare(a, b, fmt, kind)
                self.put(i, 1, (outcome, raised))  # one bit each, from bit 0 on
                continue
            elif code in (14, 15):
                found = (fp16.minimum if code == 14 else fp16.maximum)(a, b, fmt)
            elif code < 19:
                kind = ("copy", "negate", "xor")[code - 16]
                found = (fp16.inject_sign(a, b, fmt, kind), 0)
            elif code == 19:
                found, above = (fp16.classify(a, fmt), 0), "zeros"
            elif code == 32:
                found = fp16.divide(a, b, fmt, mode)
            else:
                found = fp16.square_root(a, fmt, mode)
            self.put(i, self.w, found, above if self.item.form == 1 else None)

    def converted(self, register: str, element: int) -> tuple:
        source, destination, mode = self.item.source, self.item.destination, self.item.mode
        formats = (self.lane, self.unit.alternate, self.wide)
        if source > 2:
            bits = self.bits(register, self.w, element)
            return fp16.from_integer(bits, self.w, source == 3, formats[destination], mode)
        bits = self.number(register, formats[source], element)
        if destination > 2:
            return fp16.to_integer(bits, formats[source], self.w, destination == 3, mode)
        return fp16.convert(bits, formats[source], formats[destination], mode)

    def convert(self) -> None:
        item = self.item
        width = 2 * self.w if item.destination == 2 else self.w
        if item.operation >= 28:
            first = 2 * (item.operation - 28)
            self.put(first, width, self.converted(self.a, 0))
            self.put(first + 1, width, self.converted(self.b, 0))
            return
        above = None
        if item.form == 1:
            above = "sign" if item.destination > 2 else "ones"
        narrow_only = item.source != 2 and item.destination != 2
        count = 1 if item.form == 1 else self.unit.lanes if narrow_only else self.pairs
        high = self.pairs if item.operation == 25 else 0
        for i in range(count):
            found = self.converted(self.a, i if item.source == 2 else i + high)
            self.put(i if item.destination == 2 else i + high, width, found, above)

    def dot(self) -> None:
        code = self.item.operation
        destination = self.wide if code >= 44 else self.lane
        for p in range(self.pairs):
            a0, a1 = (self.number(self.a, self.lane, 2 * p + k) for k in (0, 1))
            b0, b1 = (self.second(2 * p + k) for k in (0, 1))
            c = self.number(self.c, destination, p)
            formats = (self.lane, destination, self.item.mode)
            if code in (42, 46):
                found = fp16.sum2(a0, a1, c, *formats)
            else:
                minus = self.lane.sign_bit if code in (41, 45) else 0
                found = fp16.dot2(a0 ^ minus, b0, a1 ^ minus, b1, c, *formats)
            self.put(p, destination.width, found)

    def reduce(self) -> None:
        fmt, mode = self.lane, self.item.mode
        summed = self.item.operation == 48
        nothing = (0 if mode == 2 else fmt.sign_bit) if summed else fmt.canonical_nan
        level = [nothing] * next(n for n in (2, 4, 8, 16) if n >= self.unit.lanes)
        for i in range(self.unit.lanes):
            if self.active(i):
                level[i] = self.bits(self.a, self.w, i)
        choose = fp16.minimum if self.item.operation == 49 else fp16.maximum
        while len(level) > 1:
            above = []
            for x, y in zip(level[0::2], level[1::2], strict=True):
                bits, flags = fp16.add(x, y, fmt, mode) if summed else choose(x, y, fmt)
                above.append(int(bits))
                self.flags |= int(flags)
            level = above
        self.write(0, self.w, level[0])

    def move(self) -> None:
        def from_a(index: int) -> tuple[int, int]:
            return (self.bits(self.a, self.w, index) if index < self.positions else 0), 0

        code, index = self.item.operation, self.bits(self.b, self.w, 0)
        if code == 58:
            if index < self.positions:
                self.put(index, self.w, from_a(0))
        elif code == 59:
            self.put(0, self.w, from_a(index), "ones")
        else:
            for i in range(self.positions):
                own = code == 57 and self.item.form != 2
                self.put(i, self.w, from_a(self.bits(self.b, self.w, i) if own else index))
