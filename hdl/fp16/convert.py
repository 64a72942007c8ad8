"""Conversion of one element between number formats: any to any, with one rounding."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import product

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib.wiring import In, Out

from hdl.fp16.format import Format
from hdl.fp16.operation import FLAGS, Number
from hdl.fp16.parameters import Parameters
from hdl.fp16.rounding import Rounder
from hdl.leading_zeros import count_leading_zeros
from hdl.pipeline import Bundle, Stage, without
from hdl.staged import StagedUnit
from hdl.wire import wire

INTEGERS = (Number.SIGNED, Number.UNSIGNED)


class Converter(StagedUnit):
    """Converts a number of format ``source`` to format ``destination``, in all modes.

    Ports
        value: the number, in the lower bits if it is narrow. source, destination: a ``Number``
        each, not both integers. mode: rounding mode.
        result, flags: what is above a narrow result has no meaning.

    ``is_wide``: the unit knows the wide format as well, and
    value and result have its width instead of a lane's. A NaN becomes the canonical one; of an
    integer, the largest. Reserved formats and modes give a result without meaning.

    All formats share one path. An integer is a significand of ``width`` bits: as a source with a
    fixed exponent, as a destination whose numbers are all subnormal. So for each pair of formats
    it is known beforehand if significands move to the right, as the destination's range ends
    where the source's goes on, or to the left, as the destination has an exponent for them.
    """

    mapped_alone = True

    def __init__(self, parameters: Parameters, depth: int = 0, is_wide: bool = True) -> None:
        self.integer_bits = parameters.lane.width
        self.formats = {Number.LANE: parameters.lane, Number.ALTERNATE: parameters.alternate}
        if is_wide:
            self.formats[Number.WIDE] = parameters.wide
        width = max(format.width for format in self.formats.values())
        super().__init__(
            depth,
            value=In(width),
            source=In(3),
            destination=In(3),
            mode=In(3),
            result=Out(width),
            flags=Out(FLAGS),
        )

    @cached_property
    def window_bits(self) -> int:
        """Bits of the longest significand."""
        return max(self.integer_bits, *(each.precision for each in self.formats.values()))

    @cached_property
    def offsets(self) -> dict[tuple[Number, Number], int]:
        """What to add to an exponent of each source to have it biased for each destination.

        As a source, an integer has the exponent of its first bit; as a destination, that exponent
        is biased to 1.
        """
        first = {number: -format.bias for number, format in self.formats.items()}
        first |= dict.fromkeys(INTEGERS, self.integer_bits - 1)
        return {
            (source, destination): first[source] - first[destination] + (destination in INTEGERS)
            for source, destination in product(first, first)
            if source not in INTEGERS or destination not in INTEGERS
        }

    @cached_property
    def lowest(self) -> dict[tuple[Number, Number], int]:
        """The biased exponent that subnormals and integers of each source have for each
        destination; of pairs in which they move to the left, the others being at 1 or below.
        """
        fields = {pair: offset + (pair[0] in self.formats) for pair, offset in self.offsets.items()}
        return {pair: field for pair, field in fields.items() if field > 1}

    @cached_property
    def left_bits(self) -> int:
        """Bits of the longest significand that may move to the left."""
        sources = {source for source, _ in self.lowest}.difference(INTEGERS)
        return max(self.integer_bits, *(self.formats[source].precision for source in sources))

    @cached_property
    def exponent_bits(self) -> int:
        """Bits of a biased exponent, with its sign, while it is in no format's range yet."""
        largest = max(
            offset + (self.formats[source].largest_exponent if source in self.formats else 0)
            for (source, _), offset in self.offsets.items()
        )
        # One more by a carry of the rounding; two less is what _align subtracts.
        return max(largest + 1, 2 - min(self.offsets.values())).bit_length() + 1

    def stages(self, platform: object) -> Sequence[Stage]:
        return self._unpack, self._align, self._round, self._select

    def _unpack(self, m: Module, inputs: Bundle) -> Bundle:
        """Sign, exponent and significand, its first bit on top, and the kind of pair."""
        value, bits = inputs["value"], self.window_bits
        source = _decode(m, inputs["source"], "from")
        destination = _decode(m, inputs["destination"], "to")
        pairs = {each: source[each[0]] & destination[each[1]] for each in self.offsets}
        formats = self.formats.items()

        def of_source(part: Callable[[Value, Format], Value], name: str) -> Value:
            return wire(m, _choose((source[number], part(value, f)) for number, f in formats), name)

        is_normal = of_source(lambda value, f: _exponent(value, f).any(), "is_normal")
        is_special = of_source(lambda value, f: _exponent(value, f).all(), "is_special")
        exponent = of_source(_exponent, "exponent")
        fraction = of_source(
            lambda value, f: _on_top(value[: f.fraction_bits], bits - 1), "fraction"
        )
        sign = of_source(lambda value, f: value[f.width - 1], "sign")
        has_fraction = wire(m, fraction.any(), "has_fraction")

        integer = value[: self.integer_bits]
        is_integer = wire(m, source[Number.SIGNED] | source[Number.UNSIGNED], "is_integer")
        is_negative = wire(m, source[Number.SIGNED] & integer[-1], "is_negative")
        magnitude = (integer ^ is_negative.replicate(len(integer))) + is_negative
        whole = magnitude[: len(integer)] & is_integer.replicate(len(integer))

        # The exponent of subnormals is that of the smallest normal numbers.
        field = Cat(exponent[0] | ~(is_normal | is_integer), exponent[1:])
        offset = _choose(
            (pairs[each], Const(offset, self.exponent_bits))
            for each, offset in self.offsets.items()
        )
        stop = _choose(
            (pairs[each], Const(1 << bits - lowest, bits))
            for each, lowest in self.lowest.items()
            if lowest < bits
        )
        return {
            "sign": sign | is_negative,
            "exponent": (field + offset)[: self.exponent_bits],
            "significand": Cat(fraction, is_normal) | _on_top(whole, bits),
            "moves_left": Cat(*(pairs[each] for each in self.lowest)).any(),
            "stop": stop,
            "is_nan": is_special & has_fraction,
            "is_infinite": is_special & ~has_fraction,
            "is_signalling": is_special & has_fraction & ~fraction[-1],
            "destination": inputs["destination"],
            "mode": inputs["mode"],
        }

    def _align(self, m: Module, inputs: Bundle) -> Bundle:
        """Move the significand to where the destination has it, with two more bits to the right.

        To the left until its first bit is on top or the exponent is at its lowest; to the right
        until the exponent is. Both are one shift to the right, the former from further left.
        """
        bits, top = self.window_bits, self.left_bits
        significand, moves_left = inputs["significand"], wire(m, inputs["moves_left"], "moves_left")
        exponent = wire(m, inputs["exponent"], "exponent")
        is_small = wire(m, ~moves_left & (exponent[-1] | ~exponent.any()), "is_small")
        stopped = (significand | inputs["stop"])[bits - top :]
        zeros = wire(m, count_leading_zeros(m, stopped), "zeros")
        taken = Mux(moves_left, zeros, Cat(Const(0, 1), is_small))
        moved = wire(m, (exponent - taken)[: self.exponent_bits], "moved")
        distance = ~moved  # is 1 - exponent, if the exponent is small
        steps = (bits + 2).bit_length()
        is_beyond = is_small & distance[steps:].any()
        left_steps = (top - 1).bit_length()
        furthest = (1 << left_steps) - 1
        amount = Mux(moves_left, ~zeros[:left_steps], distance[:steps] & is_small.replicate(steps))
        to_right = significand & ~(moves_left | is_beyond).replicate(bits)
        to_left = significand[bits - top :] & moves_left.replicate(top)
        window = Cat(Const(0, 2), to_right) | Cat(Const(0, 2 + bits - top + furthest), to_left)
        aligned, lost = _shift_right(m, window, amount, bits + 2)
        return without(inputs, "significand", "moves_left", "stop") | {
            "aligned": aligned,
            "lost": lost | (is_beyond & significand.any()),
            "exponent": Mux(is_small, 1, moved[:-1]),
        }

    def _round(self, m: Module, inputs: Bundle) -> Bundle:
        """Round to the last place that the destination has.

        Places below it are filled with ones, for the carry to run through. A negative integer is
        inverted first: it is then rounded up where its magnitude is rounded down.
        """
        aligned = wire(m, inputs["aligned"], "aligned")
        destination = _decode(m, inputs["destination"], "rounds_to")
        is_integer = wire(
            m, destination[Number.SIGNED] | destination[Number.UNSIGNED], "to_integer"
        )
        last_places = [
            (is_integer, len(aligned) - self.integer_bits),
            *((destination[n], len(aligned) - f.precision) for n, f in self.formats.items()),
        ]

        def of_place(part: Callable[[int], Value], name: str) -> Value:
            return wire(m, _choose((chosen, part(at)) for chosen, at in last_places), name)

        last = of_place(lambda at: aligned[at], "last")
        guard = of_place(lambda at: aligned[at - 1], "guard")
        second = of_place(lambda at: aligned[at - 2], "second")
        rest = of_place(lambda at: aligned[: at - 2].any(), "rest")
        below = of_place(lambda at: Const((1 << at - 2) - 1, self.window_bits), "below")
        sticky = wire(m, inputs["lost"] | rest, "sticky")
        filled = aligned[2:] | below
        sign = inputs["sign"]
        rounder = Rounder(m, inputs["mode"], sign)
        up = rounder.increments(last, guard, second | sticky)
        leading, fraction = aligned[-1], wire(m, filled[:-1], "fraction")
        negated = wire(m, is_integer & sign, "negated")
        inverted = negated.replicate(self.integer_bits - 1)
        exponent = inputs["exponent"]
        packed = Cat(
            fraction[: len(fraction) - len(inverted)],
            fraction[len(fraction) - len(inverted) :] ^ inverted,
            # The leading one of an integer is its first bit, beyond which there is one more.
            (exponent & leading.replicate(len(exponent))) ^ negated.replicate(2),
        )
        inexact = wire(m, guard | second | sticky, "inexact")
        becomes_normal = rounder.becomes_normal(fraction, guard, second, sticky)
        return without(inputs, "aligned", "lost", "exponent") | {
            "rounded": (packed + (up ^ negated))[: len(packed)],
            "inexact": inexact,
            "underflow": inexact & ~leading & ~becomes_normal,
            "is_too_large": exponent[1:].any(),
            "to_infinity": rounder.overflows_to_infinity,
        }

    def _select(self, m: Module, inputs: Bundle) -> Bundle:
        """The result in its format; infinities, NaNs and what is out of range."""
        destination = _decode(m, inputs["destination"], "destination")
        rounded = wire(m, inputs["rounded"], "rounded")
        sign, is_nan, is_infinite = (inputs[key] for key in ("sign", "is_nan", "is_infinite"))
        field = rounded[self.window_bits - 1 :]
        beyond = (
            (destination[number], field[: f.exponent_bits].all() | field[f.exponent_bits :].any())
            for number, f in self.formats.items()
        )
        overflows = wire(m, _choose(beyond) & ~is_nan & ~is_infinite, "overflows")
        is_huge = wire(m, overflows | is_infinite, "is_huge")
        to_infinity = wire(m, is_infinite | inputs["to_infinity"], "to_infinity")
        results: dict[Number, Value] = {}
        for number, format in self.formats.items():
            magnitude = rounded[self.window_bits - format.precision :][: format.width - 1]
            limit = Mux(to_infinity, format.infinity, format.infinity - 1)[: format.width - 1]
            finite = Cat(Mux(is_huge, limit, magnitude), sign)
            results[number] = Mux(is_nan, format.canonical_nan, finite)[: format.width]

        integer = rounded[self.window_bits - self.integer_bits :][: self.integer_bits + 1]
        is_signed = destination[Number.SIGNED]
        is_integer = wire(m, is_signed | destination[Number.UNSIGNED], "integer")
        # Its bit beyond the first is the sign; a signed one must not need it.
        misfit = integer[-1] ^ (is_signed & integer[-2])
        is_outside = wire(m, misfit | inputs["is_too_large"] | is_infinite | is_nan, "is_outside")
        to_smallest = wire(m, sign & ~is_nan, "to_smallest")
        largest = Cat((~to_smallest).replicate(self.integer_bits - 1), to_smallest ^ ~is_signed)
        results[Number.SIGNED] = Mux(is_outside, largest, integer[:-1])
        narrow = _choose(
            (is_integer if number is Number.SIGNED else destination[number], result)
            for number, result in results.items()
        )
        is_finite = ~is_nan & ~is_infinite
        raises = wire(m, is_finite & ~(is_integer & is_outside), "raises")
        return {
            "result": narrow,
            "flags": Cat(
                (inputs["inexact"] & raises) | overflows,
                inputs["underflow"] & raises & ~is_integer,
                overflows,
                Const(0, 1),
                Mux(is_integer, is_outside, inputs["is_signalling"]),
            ),
        }


def _exponent(value: Value, format: Format) -> Value:
    return value[format.fraction_bits : format.width - 1]


def _on_top(value: Value, bits: int) -> Value:
    """``value`` in the upper part of ``bits`` bits."""
    return Cat(Const(0, bits - len(value)), value)


def _shift_right(m: Module, value: Value, distance: Value, kept: int) -> tuple[Value, Value]:
    """The lower ``kept`` bits of ``value`` shifted right, and whether a one was lost below them.

    Large distances first: what can't reach those bits any more is dropped early.
    """
    lost: Value = Const(0, 1)
    for step in reversed(range(len(distance))):
        room = 1 << step
        lost = lost | (distance[step] & value[:room].any())
        moved = Mux(distance[step], value[room:], value)
        value = wire(m, moved[: kept + room - 1], f"aligned_by_{room}")
    return value, lost


def _decode(m: Module, number: Value, name: str) -> dict[Number, Value]:
    return {each: wire(m, number == each.value, f"{name}_{each.name}") for each in Number}


def _choose(cases: Iterable[tuple[Value, Value]]) -> Value:
    """The value whose condition holds, of which only one may; zero if none does."""
    chosen: Value = Const(0, 0)
    for condition, value in cases:
        chosen = chosen | (value & condition.replicate(len(value)))
    return chosen
