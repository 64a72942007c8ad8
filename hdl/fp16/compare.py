"""Operations that never round: comparisons, extremes, sign injection, classification."""

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Array, Cat, Const, Module, Mux, Value
from amaranth.lib.wiring import In, Out

from hdl.fp16.format import Format, Unpacked
from hdl.fp16.operation import INDEX_BITS, Operation
from hdl.pipeline import Bundle, Stage
from hdl.staged import StagedUnit
from hdl.wire import wire

#: Bits of a class: −infinity, −normal, −subnormal, −0, +0, …, +infinity, signalling, quiet NaN.
CLASSES = 10


class Compare(StagedUnit):
    """The operations of the groups COMPARE and SIGN of one lane.

    Ports
        a, b: operands. is_sign: the group is SIGN. operation: index within the group.
        result: of MIN, MAX and SIGN. holds: of a comparison. invalid: the flag.

    EQ and NE are quiet, the other comparisons signal any NaN; NE is the inverse of EQ, all
    others are false of NaNs. MIN and MAX are minimumNumber and maximumNumber of IEEE 754-2019.
    Sign injection moves bits only. CLASSIFY needs a format of ten bits or more; its result in
    smaller ones has no meaning.
    """

    def __init__(self, format: Format, depth: int = 0) -> None:
        self.format = format
        super().__init__(
            depth,
            a=In(format.width),
            b=In(format.width),
            is_sign=In(1),
            operation=In(INDEX_BITS),
            result=Out(format.width),
            holds=Out(1),
            invalid=Out(1),
        )

    def stages(self, platform: object) -> Sequence[Stage]:
        return self._order, self._choose

    def _order(self, m: Module, inputs: Bundle) -> Bundle:
        a = Unpacked(m, inputs["a"], self.format, "a_value")
        b = Unpacked(m, inputs["b"], self.format, "b_value")
        order = Order.of(m, a, b, inputs["a"], inputs["b"], "order")
        both_zero = a.is_zero & b.is_zero
        return {
            **inputs,
            "less": order.less & ~both_zero & ~order.unordered,
            "equal": (order.same | both_zero) & ~order.unordered,
            "first_is_less": order.less,
            "a_is_nan": a.is_nan,
            "b_is_nan": b.is_nan,
            "signalling": order.signalling,
            "class": _classify(a),
        }

    def _choose(self, m: Module, inputs: Bundle) -> Bundle:
        width = self.format.width
        operation, is_sign = inputs["operation"], inputs["is_sign"]
        less, equal = inputs["less"], inputs["equal"]
        unordered = inputs["a_is_nan"] | inputs["b_is_nan"]
        greater = ~less & ~equal & ~unordered
        holds = {
            Operation.EQ: equal,
            Operation.NE: ~equal,
            Operation.LT: less,
            Operation.LE: less | equal,
            Operation.GT: greater,
            Operation.GE: greater | equal,
        }
        assert [each.index for each in holds] == list(range(len(holds)))
        a, b = inputs["a"], inputs["b"]
        extreme = _extreme(
            a,
            b,
            inputs["first_is_less"] ^ operation[0],
            inputs["a_is_nan"],
            inputs["b_is_nan"],
            self.format,
        )
        signs = {
            Operation.SGNJ: b[-1],
            Operation.SGNJN: ~b[-1],
            Operation.SGNJX: a[-1] ^ b[-1],
        }
        injected = Cat(a[:-1], Array(signs.values())[operation[:2]])
        fits = min(CLASSES, width)
        classified = Cat(inputs["class"][:fits], Const(0, width - fits))
        signed = Mux(operation == Operation.CLASSIFY.index, classified, injected)
        is_quiet = (operation == Operation.EQ.index) | (operation == Operation.NE.index)
        is_extreme = operation[1:] == Operation.MIN.index >> 1
        complains = inputs["signalling"] | (unordered & ~is_quiet & ~is_extreme)
        return {
            "result": Mux(is_sign, signed, extreme),
            "holds": Array(holds.values())[operation],
            "invalid": complains & ~is_sign,
        }


@dataclass(frozen=True)
class Order:
    """How two values compare, −0 being less than +0: less and same mean nothing of NaNs."""

    less: Value
    same: Value
    unordered: Value
    signalling: Value

    @classmethod
    def of(
        cls, m: Module, a: Unpacked, b: Unpacked, a_bits: Value, b_bits: Value, name: str
    ) -> "Order":
        smaller = wire(m, a_bits[:-1] < b_bits[:-1], f"{name}_smaller")
        same = wire(m, a_bits == b_bits, f"{name}_same")
        differs = a.sign ^ b.sign
        less = Mux(differs, a.sign, Mux(a.sign, ~smaller & ~same, smaller))
        return cls(
            less=wire(m, less, f"{name}_less"),
            same=same,
            unordered=wire(m, a.is_nan | b.is_nan, f"{name}_unordered"),
            signalling=wire(m, a.is_signalling | b.is_signalling, f"{name}_signalling"),
        )


def select_extreme(
    m: Module, a: Value, b: Value, format: Format, maximum: Value, name: str
) -> tuple[Value, Value]:
    """The smaller or, with ``maximum``, the larger number of two, and the flag invalid."""
    first = Unpacked(m, a, format, f"{name}_a")
    second = Unpacked(m, b, format, f"{name}_b")
    order = Order.of(m, first, second, a, b, f"{name}_order")
    result = _extreme(a, b, order.less ^ maximum, first.is_nan, second.is_nan, format)
    return wire(m, result, f"{name}_extreme"), order.signalling


def _extreme(
    a: Value, b: Value, takes_a: Value, a_is_nan: Value, b_is_nan: Value, format: Format
) -> Value:
    """The chosen operand, or the other one of a NaN; the canonical NaN of two."""
    number = Mux((takes_a | b_is_nan) & ~a_is_nan, a, b)
    return Mux(a_is_nan & b_is_nan, format.canonical_nan, number)


def _classify(value: Unpacked) -> Value:
    is_normal = value.is_normal & ~value.is_infinite & ~value.is_nan
    kinds = (value.is_infinite, is_normal, value.is_subnormal, value.is_zero)
    negative = [kind & value.sign for kind in kinds]
    positive = [kind & ~value.sign for kind in reversed(kinds)]
    return Cat(*negative, *positive, value.is_signalling, value.is_nan & ~value.is_signalling)
