"""The status port of a streaming multiplier: what it is doing, and what went wrong so far."""

from amaranth.hdl import Module, Signal, Value
from amaranth.lib.data import StructLayout, View

ERROR_COUNT_BITS = 8


def status_layout(error: StructLayout) -> StructLayout:
    """``busy``, stalls, the sticky ``error`` of that layout, how many tiles had one."""
    return StructLayout(
        {
            "busy": 1,
            "input_stalled": 1,
            "output_stalled": 1,
            "error": error,
            "error_count": ERROR_COUNT_BITS,
        }
    )


def report(
    m: Module,
    status: View,
    *,
    busy: Value,
    input_stalled: Value,
    output_stalled: Value,
    ends: Value,
    error: View,
) -> None:
    """Drive ``status``, of a ``status_layout``.

    ends: a tile ends in this cycle, with this ``error``. From the next cycle on it is in the sticky
    errors and counted, up to 255; a reset clears both.
    """
    now = Signal(status.shape(), name="status_now")
    sticky = Signal(error.shape(), name="sticky")
    errors = Signal(ERROR_COUNT_BITS)
    with m.If(ends & error.as_value().any()):
        m.d.sync += sticky.eq(sticky.as_value() | error.as_value())
        with m.If(~errors.all()):
            m.d.sync += errors.eq(errors + 1)
    m.d.comb += [
        now.busy.eq(busy),
        now.input_stalled.eq(input_stalled),
        now.output_stalled.eq(output_stalled),
        now.error.eq(sticky),
        now.error_count.eq(errors),
        status.eq(now),
    ]
