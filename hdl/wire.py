"""Names for intermediate values."""

from amaranth.hdl import Module, Signal, Value, ValueLike


def wire(m: Module, value: ValueLike, name: str) -> Signal:
    """A signal that carries ``value``.

    An expression is exported once for each of its uses; what is used more than once should be a
    signal, or nested uses multiply.
    """
    expression = Value.cast(value)
    signal = Signal(len(expression), name=name)
    m.d.comb += signal.eq(expression)
    return signal
