"""Registers that delay a value by whole cycles."""

from amaranth.hdl import Module, Signal, Value


def delay(m: Module, value: Value, cycles: int, *, name: str, init: int | None = None) -> Value:
    """``value`` as it was ``cycles`` clock edges ago; zero cycles are the value itself.

    The registers are reset to ``init``; without it they are not reset at all, which is right for
    data that something else marks as valid.
    """
    for cycle in range(cycles):
        register = Signal(
            len(value), name=f"{name}_{cycle}", init=init or 0, reset_less=init is None
        )
        m.d.sync += register.eq(value)
        value = register
    return value
