"""FillMissing: what stands for an empty field."""

from amaranth.hdl import Mux, Value, ValueLike


def fill_missing(value: Value, missing: Value, default: ValueLike) -> Value:
    """``value``, or ``default`` if it is missing. The default depends on the column."""
    return Mux(missing, default, value)[: len(value)]
