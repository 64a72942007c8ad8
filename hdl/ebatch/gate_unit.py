"""The gate unit: from the sums of a lane to a gate, one result a cycle."""

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib.data import StructLayout
from amaranth.lib.wiring import In, Out

from hdl.delay import delay
from hdl.ebatch import activation, requantise
from hdl.ebatch.activation import ACTIVATION_STAGES, FUNCTION, Function
from hdl.ebatch.parameters import Cell
from hdl.ebatch.requantise import REQUANTISE_STAGES, saturate
from hdl.export import Unit
from hdl.pipeline import Bundle, run_stages

#: Of an accumulator with its bias.
SUM = requantise.VALUE
GATE = activation.VALUE

#: Ranks of registers until a term is requantised, and until the sum of two is there.
TERM_RANKS = len(REQUANTISE_STAGES)
SUM_RANKS = TERM_RANKS + 1
#: Cycles from a result to the gate it becomes.
LATENCY = SUM_RANKS + len(ACTIVATION_STAGES)


def result_layout(accumulator_bits: int) -> StructLayout:
    """The sum of one lane, at the end of a part."""
    return StructLayout({"valid": 1, "accumulator": signed(accumulator_bits)})


class GateUnit(Unit):
    """Adds biases, requantises, adds the two terms of a gate and applies its function.

    Ports
        result: the sum of one lane; all others that come in belong to it. bias, multiplier, shift:
        of its part. is_state: it is the state part of a gate, else the input part. gate_function:
        a ``Function``. is_first: the lane is at the first step of a sequence.
        valid: a gate comes out, ``LATENCY`` cycles after its state part came in. value: the gate.
        pre: the sum of the two terms, which the function was applied to.

    Results come in parts of ``lanes``, in the order of the lanes, with any pauses: the input part
    of a gate, which gives nothing by itself, and then the state part of the same gate. A gate is
    function(sat16(sat16(requantised input sum) + requantised state sum)). At a first step the state
    is zero. An LSTM has no state term then, not even its bias, since its zero need not be int8 0;
    the int8 zero of a GRU is one, so there the sum is 0 and the bias remains.

    The function NONE, which only a GRU with the reset behind the product has, gives the two terms
    by themselves, both sat16: value is the state term and pre the input term.
    """

    mapped_alone = True

    def __init__(self, lanes: int, accumulator_bits: int, cell: Cell) -> None:
        self.lanes = lanes
        self.cell = cell
        self.has_none = cell is Cell.GRU_RESET_AFTER
        super().__init__(
            {
                "result": In(result_layout(accumulator_bits)),
                "bias": In(signed(SUM)),
                "multiplier": In(unsigned(requantise.MULTIPLIER)),
                "shift": In(signed(requantise.SHIFT)),
                "is_state": In(1),
                "gate_function": In(FUNCTION),
                "is_first": In(1),
                "valid": Out(1),
                "value": Out(signed(GATE)),
                "pre": Out(signed(GATE)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        valid = self.result.valid
        is_term = delay(m, valid, TERM_RANKS, name="is_term", init=0)
        is_gate = delay(m, valid & self.is_state, LATENCY, name="is_gate", init=0)
        bundle = {
            "value": self._sum(),
            "multiplier": self.multiplier,
            "shift": self.shift,
            "is_state": self.is_state,
            "is_tanh": self.gate_function == Function.TANH,
        }
        if self.cell is Cell.LSTM:
            bundle["is_absent"] = self.is_state & self.is_first
        if self.has_none:
            bundle["is_none"] = self.gate_function == Function.NONE

        def add(m: Module, terms: Bundle) -> Bundle:
            return self._add(m, terms, is_term)

        enables = Const(1).replicate(LATENCY)
        terms = run_stages(m, REQUANTISE_STAGES, bundle, enables[:TERM_RANKS], "term")
        totals = run_stages(m, [add], terms, enables[TERM_RANKS:SUM_RANKS], "sum")
        totals = {**totals, "shift": Const(0, requantise.SHIFT)}
        gates = run_stages(m, ACTIVATION_STAGES, totals, enables[SUM_RANKS:], "gate")
        value = gates["value"]
        if self.has_none:
            value = Mux(gates["is_none"], gates["total"], value)
        m.d.comb += [self.valid.eq(is_gate), self.value.eq(value), self.pre.eq(gates["pre"])]
        return m

    def _sum(self) -> Value:
        """Of accumulator and bias. It wraps, but a layer must be such that it is int32."""
        accumulator: Value = self.result.accumulator
        if self.cell is not Cell.LSTM:
            accumulator = Mux(self.is_state & self.is_first, 0, accumulator)
        return (accumulator + self.bias)[:SUM]

    def _add(self, m: Module, inputs: Bundle, is_term: Value) -> Bundle:
        """The term, or the sum of the two: an input term is kept until its lane comes again."""
        term: Value = inputs["value"].as_signed()
        is_sum = inputs["is_state"]
        if self.cell is Cell.LSTM:
            term = Mux(inputs["is_absent"], 0, term)
        if self.has_none:
            is_sum = is_sum & ~inputs["is_none"]
        waiting = Signal(signed(GATE))
        total = saturate(m, term + Mux(is_sum, waiting, 0), GATE, "total")
        kept: Value = total
        with m.If(is_term):
            for lane in range(self.lanes):
                register = Signal(GATE, name=f"waiting_{lane}", reset_less=True)
                m.d.sync += register.eq(kept)
                kept = register
        m.d.comb += waiting.eq(kept)
        outputs = {"value": total, "is_tanh": inputs["is_tanh"], "pre": total}
        if self.has_none:
            is_none = inputs["is_none"]
            pre = Mux(is_none, kept, total)
            outputs |= {"pre": pre, "total": total, "is_none": is_none}
        return outputs
