"""Shifters that keep as few bits as their results need."""

from amaranth.hdl import Cat, Const, Module, Mux, Value

from hdl.wire import wire


def shift_right(
    m: Module, value: Value, distance: Value, width: int, name: str
) -> tuple[Value, Value]:
    """``value`` at the top of ``width`` bits, shifted right, and whether a one was lost.

    Small distances first: the number grows bit by bit, and only what exists is shifted.
    """
    shifted = value
    lost: Value = Const(0, 1)
    for step, select in enumerate(distance):
        room = 1 << step
        grown = Cat(Const(0, room), shifted)
        moved = Cat(shifted, Const(0, room))
        shifted = wire(m, Mux(select, moved, grown), f"{name}_by_{room}")
        if len(shifted) > width:
            lost = lost | shifted[:-width].any()
            shifted = shifted[-width:]
    return Cat(Const(0, width - len(shifted)), shifted), lost


def shift_left(
    m: Module, value: Value, distance: Value, kept: int, fill: Value, name: str
) -> tuple[Value, Value, Value]:
    """The upper ``kept`` bits of ``value`` shifted left; and of all bits below those, whether any
    is one and whether all are.

    ``fill`` comes in from the right; it counts as all further bits, without end. Large distances
    first: what can't reach the upper bits any more goes straight into the other two results.
    """
    fill = wire(m, fill, f"{name}_fill")
    any_below: Value = fill
    all_below: Value = fill
    for step in reversed(range(len(distance))):
        room, select = 1 << step, distance[step]
        needed = min(len(value), kept + room - 1)
        moved = Cat(fill.replicate(room), value)[:-room]
        below, below_moved = value[:-needed], moved[:-needed]
        # Of what comes from the right, nothing is below that ``fill`` does not stand for.
        below_moved = below_moved[room:]
        any_below = any_below | Mux(select, below_moved.any(), below.any())
        all_below = all_below & Mux(select, below_moved.all(), below.all())
        value = wire(m, Mux(select, moved[-needed:], value[-needed:]), f"{name}_by_{room}")
    return value, any_below, all_below
