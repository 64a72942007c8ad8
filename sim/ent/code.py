"""Operands as the PEs get them, built from golden digits for testbenches.

The layouts are those that ``hdl.encoding.encode`` documents.
"""

import numpy as np

from golden.ent import recode, row_correction
from golden.integers import Integers
from hdl.encoding import Encoding
from hdl.ent.parameters import Parameters
from sim.packing import pack_rows


def a_beats(a: Integers, p: Parameters) -> list[int]:
    """Port A of a PE for operands of shape (beats, lanes): their codes, and the missing ones."""
    codes = pack_rows(np.reshape(code_words(a, p), a.shape), p.a_width)
    if not p.ones_bits:
        return codes
    ones = np.sum(row_correction(a, p.operand_bits, p.encoding.value), axis=1)
    above = p.a_width * p.lanes
    return [code | int(number) << above for code, number in zip(codes, ones, strict=True)]


def code_words(values: Integers, parameters: Parameters) -> list[int]:
    """What travels on the wires of operand A for each value: its code, or itself."""
    bits = parameters.operand_bits
    numbers = np.asarray(values, dtype=np.int64)
    if parameters.encode_at != "edge":
        return (numbers & (1 << bits) - 1).tolist()
    digits = recode(numbers, bits, parameters.encoding.value)
    if parameters.encoding is Encoding.BOOTH:
        high = np.stack([numbers >> (2 * i + 1) & 1 for i in range(bits // 2)], axis=-1)
        fields = (np.abs(digits) == 1) | (np.abs(digits) == 2) * 2 | high * 4
        return _join(fields, 3)
    if parameters.encoding is Encoding.ENT:
        negative = numbers < 0
        magnitude_digits = np.where(negative[..., None], -digits, digits)
        return (np.array(_join(magnitude_digits & 3, 2)) | (negative << bits)).tolist()
    if parameters.encoding is Encoding.ONE_HOT:
        fields = (digits == 1) | (digits == 2) * 2 | (digits == -1) * 4
        top = digits[..., -1]
        fields[..., -1] = (np.abs(top) == 1) | (np.abs(top) == 2) * 2 | (top < 0) * 4
        return _join(fields, 3)
    low = np.array(_join(digits[..., :-1] & 3, 2))
    top_two = numbers >> (bits - 2)  # arithmetic: −2 a[n−1] + a[n−2]
    carry = digits[..., -1] - top_two
    return (low | carry << (bits - 2) | (top_two & 3) << (bits - 1)).tolist()


def _join(fields: Integers, bits: int) -> list[int]:
    weights = np.int64(1) << bits * np.arange(fields.shape[-1], dtype=np.int64)
    words: Integers = np.sum(fields * weights, axis=-1, dtype=np.int64)
    return list(words.tolist())
