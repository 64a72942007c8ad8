"""Counting leading zeros."""

from amaranth.hdl import Cat, Const, Module, Mux, Value

from hdl.wire import wire


def count_leading_zeros(m: Module, bits: Value) -> Value:
    """Zeros above the highest one; if there is none, the number of bits.

    A tree of halves. The result has just the bits that the largest count needs.
    """
    width = len(bits)
    size = 1 << (width - 1).bit_length()
    # A one below the last bit ends the count there.
    padded = wire(m, Cat(Const((1 << size - width) - 1, size - width), bits), "counted")
    count, is_empty = _count(m, padded)
    return Cat(count, is_empty) if size == width else count


def _count(m: Module, bits: Value) -> tuple[Value, Value]:
    """Count within a power of two of bits, and whether all are zero (the count is then 0)."""
    if len(bits) == 1:
        return Const(0, 0), ~bits[0]
    half = len(bits) // 2
    low, low_is_empty = _count(m, bits[:half])
    high, high_is_empty = _count(m, bits[half:])
    high_is_empty = wire(m, high_is_empty, f"empty_{half}")
    count = wire(m, Cat(Mux(high_is_empty, low, high), high_is_empty), f"zeros_{half}")
    return count, high_is_empty & low_is_empty
