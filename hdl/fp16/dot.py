"""Dot product of two pairs and an addend: one rounding of an exact sum of three terms."""

from collections.abc import Sequence
from dataclasses import replace

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib.wiring import In, Out

from hdl.fp16.dot_sort import normalise, sort
from hdl.fp16.dot_terms import Term, TermFormat, bundle_terms, special_cases, without_terms
from hdl.fp16.format import Format, Unpacked
from hdl.fp16.normalise import normalise_magnitude, saturate
from hdl.fp16.operation import FLAGS, INDEX_BITS, Mode
from hdl.fp16.rounding import Rounder, round_magnitude
from hdl.pipeline import Bundle, Stage
from hdl.shift import shift_right
from hdl.staged import StagedUnit
from hdl.wire import wire

_UNSORTED = ("product_0", "product_1", "addend")
_SORTED = ("largest", "middle", "smallest")


class DotProduct(StagedUnit):
    """``±(a0 * b0) ± (a1 * b1) + c`` or ``a0 + a1 + c``, in all modes, with all flags.

    Ports
        a0, b0, a1, b1: in the format ``lane``. c: in the format ``wide`` for the expanding
        operations; for the others in the low bits, in the format ``lane``.
        operation: index within the group DOT. mode: rounding mode.
        result, flags: in the format of c; what is above a result of the lane format is zero. A
        NaN is the canonical one.

    Subnormals are taken and returned; tininess is detected
    after rounding. Reserved operations and modes give a result without meaning.

    Terms have P bits, the precision of ``wide``, which is enough for a product. They are all
    normalised, subnormals too, and sorted by magnitude: |X| >= |Y| >= |Z|. If two of them are
    opposite, the third one is the sum. Otherwise X, with its leading one at 1, stands still in a
    window that goes down to 2**-L, L = 2P + 1, and Y and Z are shifted right to it. To round to
    P bits or fewer one has to know the bits of the sum from its leading one down to the one P
    places further right, and whether anything follows. (Whether a subnormal result is tiny takes
    one place more, but counted from the smallest normal number, which is above its leading one.)
    That is always known:

    - A term at most P + 2 places below X loses nothing.
    - If Y is further below, Z is left out. |Y + Z| < 2**(-P - 1), and Y + Z has the sign of Y, or
      is zero with it. X is a multiple of 2**(-P - 1), so that X + Y and the sum lie strictly
      between the same two of these multiples. Nothing else matters, as the sum is above 1/2.
    - If only Z is further below, |Z| < 2**(-P - 2). X + Y is not zero; it is at least 2**-P if Y
      is at most one place below X, as it is a multiple of that, and above 1/2 otherwise. So the
      leading one of the sum is at 2**(-P - 1) or above, and what has to be known ends at
      2**(-2P - 1). The sum has the sign of X: only sums that are exact can have the other one.
    """

    mapped_alone = True

    def __init__(self, lane: Format, wide: Format, depth: int = 0) -> None:
        self.lane = lane
        self.wide = wide
        self.terms = TermFormat(lane, wide)
        super().__init__(
            depth,
            **{name: In(lane.width) for name in ("a0", "b0", "a1", "b1")},
            c=In(wide.width),
            operation=In(INDEX_BITS),
            mode=In(3),
            result=Out(wide.width),
            flags=Out(FLAGS),
        )

    @property
    def window_bits(self) -> int:
        """From 4, which sums of three terms may reach, to ``2**-L``."""
        return 2 * self.wide.precision + 4

    def stages(self, platform: object) -> Sequence[Stage]:
        return self._multiply, self._normalise, self._sort, self._add, self._round

    def _multiply(self, m: Module, inputs: Bundle) -> Bundle:
        """The terms as they come, and what infinities and NaNs make of the result."""
        negated, is_sum, is_wide = inputs["operation"]
        factors, terms = [], []
        for k in range(2):
            a = Unpacked(m, inputs[f"a{k}"], self.lane, f"a{k}_value")
            factor = Mux(is_sum, self.lane.one, inputs[f"b{k}"])
            b = Unpacked(m, factor, self.lane, f"b{k}_value")
            factors.append((a, b))
            terms.append(self.terms.product(m, a, b, negated, _UNSORTED[k]))
        addend, c = self.terms.addend(m, inputs["c"], is_wide, _UNSORTED[2])
        terms.append(addend)
        return {
            "is_wide": is_wide,
            "mode": inputs["mode"],
            "all_negative": Cat(term.sign for term in terms).all(),
            "all_positive": ~Cat(term.sign for term in terms).any(),
            **special_cases(m, factors, c, terms),
            **bundle_terms(_UNSORTED, terms),
        }

    def _normalise(self, m: Module, inputs: Bundle) -> Bundle:
        terms = [normalise(m, Term.of(inputs, name), name) for name in _UNSORTED]
        return without_terms(inputs, _UNSORTED) | bundle_terms(_UNSORTED, terms)

    def _sort(self, m: Module, inputs: Bundle) -> Bundle:
        terms = sort(m, [Term.of(inputs, name) for name in _UNSORTED])
        return without_terms(inputs, _UNSORTED) | bundle_terms(_SORTED, terms)

    def _add(self, m: Module, inputs: Bundle) -> Bundle:
        """Magnitude of the sum, and whether more follows below it."""
        bits, precision = self.window_bits, self.terms.precision
        x, y, z = (Term.of(inputs, name) for name in _SORTED)
        distances = [
            wire(m, (x.exponent - each.exponent)[: len(x.exponent)], f"below_x_{name}")
            for name, each in zip("yz", (y, z), strict=True)
        ]
        is_far = distances[0] > precision + 2
        z = replace(z, significand=z.significand & (~is_far).replicate(precision))
        y_aligned, y_lost = self._align(m, y, distances[0], "y")
        z_aligned, z_lost = self._align(m, z, distances[1], "z")
        y_differs, z_differs = x.sign ^ y.sign, x.sign ^ z.sign
        # What is subtracted is inverted, and that is one too small, if it lost nothing.
        total = wire(
            m,
            (
                Cat(Const(0, bits - 2 - precision), x.significand, Const(0, 2))
                + (y_aligned ^ y_differs.replicate(bits))
                + (z_aligned ^ z_differs.replicate(bits))
                + (y_differs & ~y_lost)
                + (z_differs & ~z_lost)
            )[:bits],
            "total",
        )
        # Sums are below 6 and above -2.
        negative = wire(m, total[-1] & total[-2], "negative")
        return without_terms(inputs, _SORTED) | {
            "exponent": x.exponent + 2,
            "magnitude": ((total ^ negative.replicate(bits)) + negative)[:bits],
            "lost": y_lost | z_lost,
            "sign": x.sign ^ negative,
        }

    def _align(self, m: Module, term: Term, distance: Value, name: str) -> tuple[Value, Value]:
        """A significand shifted right in the window, and whether it lost a one."""
        below = self.window_bits - 2
        limited = wire(m, saturate(distance, below), f"{name}_distance")
        aligned, lost = shift_right(m, term.significand, limited, below, name)
        return Cat(aligned, Const(0, 2)), wire(m, lost, f"{name}_lost")

    def _round(self, m: Module, inputs: Bundle) -> Bundle:
        """Round once, to either format; specials take precedence."""
        is_wide, mode = inputs["is_wide"], inputs["mode"]
        formats = (self.lane, self.wide)
        lane, wide = (Const(self.terms.smallest_normal(format)) for format in formats)
        exact = normalise_magnitude(
            m,
            inputs["magnitude"],
            inputs["exponent"],
            least=Mux(is_wide, wide, lane),
            kept=self.terms.precision + 2,
        )
        is_zero = ~inputs["magnitude"].any()
        zero_sign = inputs["all_negative"] | (~inputs["all_positive"] & (mode == Mode.RDN.value))
        sign = wire(m, Mux(is_zero, zero_sign, inputs["sign"]), "sign")
        rounder = Rounder(m, mode, sign)
        results, flags = [], []
        for format in formats:
            beyond = exact.significand[: -(format.precision + 2)]
            rounded = round_magnitude(
                m,
                rounder,
                exact.exponent,
                exact.significand[len(beyond) :],
                beyond.any() | exact.sticky | inputs["lost"],
                format,
            )
            infinity = Cat(Const(format.infinity, format.width - 1), inputs["infinite_sign"])
            finite = Cat(rounded.magnitude, sign)
            number = Mux(inputs["is_infinite"], infinity, finite)
            results.append(Mux(inputs["is_nan"], format.canonical_nan, number))
            flags.append(Cat(rounded.inexact, rounded.underflow, rounded.overflow))
        is_finite = ~inputs["is_nan"] & ~inputs["is_infinite"]
        raised = Mux(is_wide, flags[1], flags[0]) & is_finite.replicate(3)
        return {
            "result": Mux(is_wide, results[1], results[0]),
            "flags": Cat(raised, Const(0, 1), inputs["invalid"]),
        }
