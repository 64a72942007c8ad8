"""Moving items between lanes: together to the front, or around."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib.wiring import In, Out

from hdl.export import Unit, place
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


#: Bits of an item that one unit moves: the networks for all of them are alike, and mapped once.
PLANE = 8
#: Networks of so few items are mapped together with what drives them, which is better for both.
SMALL = 16


def pack(m: Module, platform: object, items: Value, gaps: Sequence[Value], wanted: Value) -> Value:
    """The ``wanted`` items together at the front, in their order; what follows them is undefined.

    items: one for each bit of ``wanted``, side by side. gaps: for each item how many before it are
    not wanted, which is how far it moves. Small steps first, so that no two meet on their way.
    """
    count = len(wanted)
    # Bit k of each item's way, side by side; what is not wanted stays where it is.
    moves = [
        wire(m, Cat(_bit(gap, bit) for gap in gaps[:count]) & wanted, f"moves_{bit}")
        for bit in range((count - 1).bit_length())
    ]
    arrivals = []
    for bit, moved in enumerate(moves):
        step = 1 << bit
        arrives = wire(m, _drop(moved, step), f"arrives_{bit}")
        arrivals.append(arrives)
        for later in range(bit + 1, len(moves)):
            # What has left a place must not move once more from there.
            left = moves[later] & ~moved
            moves[later] = _replace(
                m, left, _drop(moves[later], step), arrives, f"moves_{later}_{bit}"
            )
    return _in_planes(m, platform, Pack, items, count, Cat(arrivals))


def rotate(m: Module, platform: object, items: Value, distance: Value) -> Value:
    """Item s at place s + distance, around the end; as many items as distances."""
    return _in_planes(m, platform, Rotate, items, 1 << len(distance), distance)


class _Network(Unit):
    """Moves ``count`` items of ``size`` bits between lanes, all in the same way. Combinational.

    Ports
        items, moved: side by side. control: see the kinds of networks.
    """

    mapped_alone = True

    def __init__(self, count: int, size: int, control: int) -> None:
        self.count = count
        self.size = size
        members = {
            "items": In(count * size),
            "control": In(control),
            "moved": Out(count * size),
        }
        super().__init__(members)


class Pack(_Network):
    """control: for each power of two, the places an item arrives at from so far above."""

    def __init__(self, count: int, size: int) -> None:
        super().__init__(count, size, count * (count - 1).bit_length())

    def elaborate(self, platform: object) -> Module:
        m = Module()
        items: Value = self.items
        for bit in range((self.count - 1).bit_length()):
            arrives = self.control.word_select(bit, self.count)
            items = _replace(m, items, _drop(items, self.size << bit), arrives, f"packed_{bit}")
        m.d.comb += self.moved.eq(items)
        return m


class Rotate(_Network):
    """control: the distance."""

    def __init__(self, count: int, size: int) -> None:
        super().__init__(count, size, (count - 1).bit_length())

    def elaborate(self, platform: object) -> Module:
        m = Module()
        items: Value = self.items
        for bit, select in enumerate(self.control):
            moved = items.rotate_left(self.size << bit)
            items = wire(m, Mux(select, moved, items), f"turned_{bit}")
        m.d.comb += self.moved.eq(items)
        return m


def _in_planes(
    m: Module, platform: object, unit: type[_Network], items: Value, count: int, control: Value
) -> Value:
    """All bits of the items moved by units that each move some bits of every item."""
    if count == 1:
        return items
    size = len(items) // count
    each = [items.word_select(at, size) for at in range(count)]
    moved: list[list[Value]] = [[] for _ in range(count)]
    for low in range(0, size, PLANE):
        bits = min(PLANE, size - low)
        network = place(platform, unit, count, bits) if count > SMALL else unit(count, bits)
        m.submodules += network
        m.d.comb += [
            network.items.eq(Cat(item[low : low + bits] for item in each)),
            network.control.eq(control),
        ]
        for at in range(count):
            moved[at].append(network.moved.word_select(at, bits))
    return Cat(Cat(parts) for parts in moved)


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
