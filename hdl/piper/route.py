"""Moving items between lanes: together to the front, or around."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Value

from hdl.wire import wire


def counts_below(m: Module, bits: Value, name: str) -> list[Value]:
    """For each bit the number of ones below it, and last the number of all.

    A parallel prefix: each level adds the count of a lower half to all of the upper half.
    """
    size = len(bits)
    if size == 1:
        return [Const(0, 0), bits]
    half = 1 << (size - 1).bit_length() - 1
    low = counts_below(m, bits[:half], f"{name}_low")
    high = counts_below(m, bits[half:], f"{name}_high")
    total = low[-1]
    sums = [
        wire(m, (total + count)[: (half + at).bit_length()], f"{name}_{half + at}")
        for at, count in enumerate(high)
    ]
    return low[:-1] + sums


def pack(m: Module, items: Value, gaps: Sequence[Value], wanted: Value) -> Value:
    """The ``wanted`` items together at the front, in their order; what follows them is undefined.

    items: one for each bit of ``wanted``, side by side. gaps: for each item how many before it are
    not wanted, which is how far it moves. Small steps first, so that no two meet on their way.
    """
    count = len(wanted)
    size = len(items) // count
    bits = (count - 1).bit_length()
    # Bit k of each item's way, side by side; what is not wanted stays where it is.
    moves = [
        wire(m, Cat(_bit(gap, bit) for gap in gaps[:count]) & wanted, f"moves_{bit}")
        for bit in range(bits)
    ]
    for bit in range(bits):
        step = 1 << bit
        arrives = wire(m, _drop(moves[bit], step), f"arrives_{bit}")
        items = _replace(m, items, _drop(items, size * step), arrives, f"packed_{bit}")
        for later in range(bit + 1, bits):
            # What has left a place must not move once more from there.
            left = moves[later] & ~moves[bit]
            moves[later] = _replace(
                m, left, _drop(moves[later], step), arrives, f"moves_{later}_{bit}"
            )
    return items


def rotate(m: Module, items: Value, distance: Value, name: str) -> Value:
    """Item s at place s + distance, around the end; as many items as distances."""
    size = len(items) >> len(distance)
    for bit, select in enumerate(distance):
        moved = items.rotate_left(size << bit)
        items = wire(m, Mux(select, moved, items), f"{name}_{bit}")
    return items


def _bit(value: Value, index: int) -> Value:
    return value[index] if index < len(value) else Const(0, 1)


def _drop(bits: Value, count: int) -> Value:
    """Without the lowest bits, and as wide; an operator would make all depend on all."""
    return Cat(bits[count:], Const(0, count))


def _replace(m: Module, items: Value, others: Value, select: Value, name: str) -> Value:
    """Each item, or the other one if its bit of ``select`` is set."""
    size = len(items) // len(select)
    items, others = wire(m, items, f"{name}_stay"), wire(m, others, f"{name}_come")
    chosen = (
        Mux(bit, others.word_select(at, size), items.word_select(at, size))
        for at, bit in enumerate(select)
    )
    return wire(m, Cat(chosen), name)
