"""The memory at the foot of a column: written in order, read as results are wanted."""

from amaranth.hdl import Const, Module, Signal, Value
from amaranth.lib.memory import Memory


def keep(m: Module, value: Value, enable: Value, read: Value, address: Value, depth: int) -> Value:
    """What is at ``address`` one cycle after ``read``, until the next is read.

    ``value`` is written in each cycle with ``enable``, from address 0 on and round again after
    ``depth``. Where the next is written is reset, the memory is not.
    """
    memory = Memory(shape=len(value), depth=depth, init=[])
    m.submodules.memory = memory
    write_port, read_port = memory.write_port(), memory.read_port()
    place = Signal(range(depth))
    with m.If(enable):
        m.d.sync += place.eq(following(place, depth))
    m.d.comb += [
        write_port.en.eq(enable),
        write_port.addr.eq(place),
        write_port.data.eq(value),
        read_port.en.eq(read),
        read_port.addr.eq(address),
    ]
    return read_port.data


def following(counter: Value, length: int) -> Value:
    """``counter + 1``, back to zero after ``length - 1``."""
    if length == 1:
        return Const(0, 1)
    wraps = counter == length - 1
    return (counter + 1)[: len(counter)] & ~wraps.replicate(len(counter))
