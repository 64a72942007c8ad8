"""Where the tokens and the states of a lane are."""

from amaranth.hdl import Module, Mux
from amaranth.lib.wiring import Component, In, Out

from hdl.ebatch.parameters import Parameters


def token_place(parameters: Parameters) -> range:
    """Words of the ring of tokens in a lane."""
    return range(parameters.token_depth * parameters.input_size // parameters.width)


class LanePointers(Component):
    """Pointers of one lane, or of all lanes if they begin and end together.

    Ports
        enters: a word of a token comes in, at ``tail``; enters_end: it is the token's last one.
        take: the oldest token, which begins at ``head``, is used up. count: whole tokens.
        turns: the last unit of ``layer`` has been written: what was written is the state from then
        on. halves: of each layer, which of its two states that is.

    A lane that does not take part in a step writes nothing, and turns nothing: so it holds its
    state, at no cost.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = p = parameters
        super().__init__(
            {
                "enters": In(1),
                "enters_end": In(1),
                "take": In(1),
                "count": Out(p.count_bits),
                "tail": Out(token_place(p)),
                "head": Out(token_place(p)),
                "turns": In(1),
                "layer": In(range(max(p.layers, 2))),
                "halves": Out(p.layers),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        words = p.input_size // p.width
        size = p.token_depth * words
        with m.If(self.enters):
            m.d.sync += self.tail.eq(Mux(self.tail == size - 1, 0, self.tail + 1))
        with m.If(self.take):
            m.d.sync += self.head.eq(Mux(self.head == size - words, 0, self.head + words))
        m.d.sync += self.count.eq(self.count + (self.enters & self.enters_end) - self.take)
        with m.If(self.turns):
            half = self.halves.bit_select(self.layer, 1)
            m.d.sync += half.eq(~half)
        return m
