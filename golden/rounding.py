"""The one rounding of IEEE 754: an exact sum, held in integers of any length, to a format.

Exact sums are magnitudes of 32-bit limbs, as many as the exponents of the terms ask for, in
the rows of an int64 array. Nothing is dropped before the rounding, whatever cancels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike

from golden.float_format import Booleans, FloatFormat
from golden.integers import Integers

LIMB = 32
MASK = (1 << LIMB) - 1


class Mode(IntEnum):
    """Rounding modes, encoded as RISC-V does."""

    RNE = 0  # to nearest, ties to even
    RTZ = 1  # towards zero
    RDN = 2  # down
    RUP = 3  # up
    RMM = 4  # to nearest, ties to the larger magnitude


#: Exception flags: inexact, underflow, overflow, division by zero, invalid operation.
NX, UF, OF, DZ, NV = 1, 2, 4, 8, 16


def increments(
    mode: ArrayLike, negative: Booleans, odd: Booleans, half: Booleans, rest: Booleans
) -> Booleans:
    """Whether a magnitude that was cut off is to be rounded up to its next larger neighbour.

    odd: the last bit kept. half: the first bit cut off. rest: any bit cut off below that one.
    """
    inexact = half | rest
    chosen = np.asarray(mode)
    return (
        (chosen == Mode.RNE) & half & (rest | odd)
        | (chosen == Mode.RMM) & half
        | (chosen == Mode.RDN) & inexact & negative
        | (chosen == Mode.RUP) & inexact & ~negative
    )


@dataclass(frozen=True)
class Term:
    """``(-1)**negative * significand * 2**exponent``, 0 <= significand < 2**63; 1-D arrays."""

    negative: Booleans
    significand: Integers
    exponent: Integers


@dataclass(frozen=True)
class Exact:
    """``(-1)**negative * sum(limbs[j] * 2**(32 * j)) * 2**exponent``, limbs of shape (L, n).

    The top bit of limb L − 3 and the two limbs above it are zero: room to read past the top.
    """

    negative: Booleans
    limbs: Integers
    exponent: int

    def select(self, rows: Integers) -> "Exact":
        return Exact(self.negative[rows], self.limbs[:, rows], self.exponent)

    def bit_length(self) -> Integers:
        """Bits of the magnitude, 0 for zero."""
        length = np.zeros(self.limbs.shape[1], dtype=np.int64)
        for j, limb in enumerate(self.limbs[:-2]):
            of_limb = np.frexp(limb.astype(np.float64))[1]  # limbs are exact in float64
            length = np.where(limb > 0, LIMB * j + of_limb, length)
        return length

    def round_at(self, position: Integers, mode: ArrayLike) -> tuple[Integers, Booleans]:
        """The magnitude in units of ``2**position`` of its own, rounded, and if it was inexact.

        ``position`` may be negative; the rounded magnitude must be below ``2**61``.
        """
        cut = np.minimum(position - 1, LIMB * (len(self.limbs) - 2))
        rest = np.zeros(len(cut), dtype=np.bool_)
        for j, limb in enumerate(self.limbs[:-2]):
            below = np.minimum(np.maximum(cut - LIMB * j, 0), LIMB)
            rest |= (limb & (1 << below) - 1) != 0
        start = np.maximum(cut, 0)
        index, shift = start // LIMB, start % LIMB
        everyone = np.arange(len(cut))
        low, high = self.limbs[index, everyone], self.limbs[index + 1, everyone]
        kept = (low >> shift | high << LIMB - shift) << np.maximum(-cut, 0)  # and one bit more
        odd, half = (kept & 2) != 0, (kept & 1) != 0
        return (kept >> 1) + increments(mode, self.negative, odd, half, rest), half | rest


def exact_sum(terms: Sequence[Term]) -> Exact:
    """The sum of ``terms``, exactly."""
    lowest = min(int(term.exponent.min()) for term in terms)
    highest = max(
        int(term.exponent.max()) + int(term.significand.max()).bit_length() for term in terms
    )
    # Each addition makes a sum one bit longer at most; one bit more stays zero.
    used = (highest - lowest + len(terms)) // LIMB + 1
    limbs = np.zeros((used + 2, len(terms[0].exponent)), dtype=np.int64)
    for term in terms:
        sign = np.where(term.negative, -1, 1)
        for j in range(used):
            left = term.exponent - (lowest + LIMB * j)
            digit = term.significand << np.minimum(np.maximum(left, 0), LIMB)
            digit >>= np.minimum(np.maximum(-left, 0), 63)
            limbs[j] += (digit & MASK) * sign
    carry = np.zeros_like(limbs[0])
    for limb in limbs:
        carry = (limb + carry) >> LIMB
    negative = carry < 0
    limbs *= np.where(negative, -1, 1)
    carry = np.zeros_like(limbs[0])
    for limb in limbs:
        limb += carry
        carry = limb >> LIMB
        limb &= MASK
    return Exact(negative, limbs, lowest)


def round_sum(
    terms: Sequence[Term], fmt: FloatFormat, mode: ArrayLike
) -> tuple[Integers, Integers]:
    """Patterns of the sum of ``terms`` in ``fmt``, rounded once, and flags NX, UF and OF.

    A sum of zero keeps the sign that all terms have in common; otherwise it is +0, −0 in RDN.
    UF: inexact, and below the normal numbers even after rounding as if exponents had no limit.
    """
    modes = np.broadcast_to(np.asarray(mode), terms[0].exponent.shape)
    total = exact_sum(terms)
    length = total.bit_length()
    zero = length == 0
    agreed = np.all([term.negative == terms[0].negative for term in terms], axis=0)
    negative = np.where(
        zero, np.where(agreed, terms[0].negative, modes == Mode.RDN), total.negative
    )

    of_significand = length - (fmt.fraction_bits + 1)
    of_subnormal = fmt.lowest_exponent - total.exponent
    position = np.where(zero, of_subnormal, np.maximum(of_significand, of_subnormal))
    rounded, inexact = total.round_at(position, modes)
    # A significand carries its hidden bit into the exponent field, and so does a rounding up.
    magnitude = (position - of_subnormal << fmt.fraction_bits) + rounded

    top = length + total.exponent  # the magnitude is below 2**top, and 2**(top - 1) at least
    tiny = top < fmt.min_exponent
    close = np.flatnonzero(inexact & (top == fmt.min_exponent))
    if len(close):
        unlimited, _ = total.select(close).round_at(of_significand[close], modes[close])
        tiny[close] = unlimited < 2 << fmt.fraction_bits

    overflow = magnitude >= fmt.infinity
    to_infinity = increments(modes, negative, overflow, overflow, overflow)
    limit = np.where(to_infinity, fmt.infinity, fmt.largest)
    magnitude = np.where(overflow, limit, magnitude)
    flags = (inexact | overflow) * NX | (inexact & tiny) * UF | overflow * OF
    return magnitude | negative * fmt.sign_bit, flags
