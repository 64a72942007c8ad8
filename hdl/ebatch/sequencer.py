"""Blocks, layers, steps and parts, one after the other."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import Component, In, Out

from hdl.delay import delay
from hdl.ebatch.flags import step_flags
from hdl.ebatch.parameters import Cell, Parameters
from hdl.wire import wire


class Sequencer(Component):
    """Says what the lanes read in each cycle, and when a block, a layer, a step may begin.

    Ports
        run, early_end, next_steps: settings; see ``hdl.ebatch.registers``. next_steps is looked at
        when a block begins; below 1 it counts as 1, above ``max_steps`` as that.
        works: a lane has a token. sample: this cycle decides which lanes take part in a step.
        take: the tokens of the step are used up. sampled: the lanes' flags, a cycle after
        ``sample``; replayed: those of the step, if the layer is not the lowest.
        flags: of the step that is computed; next_flags: with ``step_begins``, of the one to come.
        resident, release: of the weights. may_drain: the outputs of one more step have room.
        phase_done, step_done: the last result of a phase, of a step, is written.
        is_state, is_product, layer, slot, word, weight: what is read. add, start, finish: for
        ``hdl.ebatch.mac_lane``. gate, unit, of_state, bias, phase_end: of the part that finishes.
        write_slot: where the outputs that come in belong.
        is_running, layer, step, steps: where the engine is; how many steps the block has is known
        when layer 0 is done. step_begins: a step of ``layer`` begins in the next cycle.
        block_begins, block_ends; bottom_ends: layer 0 is through with the block. bottom_steps: how
        many steps the block that begins may have, or has. waits_for_weights, waits_for_drain:
        nothing else is missing. multiplies: a word is read in this cycle.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = p = parameters
        self.slots = p.max_steps + 1
        words = max(p.hidden_size, p.input_size) // p.width
        weight_words = max(p.weight_words(layer) for layer in range(min(2, p.layers)))
        gates = len(p.cell.gates)
        steps = range(p.max_steps + 1)
        super().__init__(
            {
                "run": In(1),
                "early_end": In(1),
                "next_steps": In(16),
                "works": In(1),
                "sample": Out(1),
                "take": Out(1),
                "sampled": In(step_flags(p)),
                "replayed": In(step_flags(p)),
                "flags": Out(step_flags(p)),
                "next_flags": Out(step_flags(p)),
                "resident": In(1),
                "release": Out(1),
                "may_drain": In(1),
                "phase_done": In(1),
                "step_done": In(1),
                "is_state": Out(1),
                "is_product": Out(1),
                "layer": Out(range(max(p.layers, 2))),
                "slot": Out(range(self.slots)),
                "word": Out(range(words)),
                "weight": Out(range(weight_words)),
                "add": Out(1),
                "start": Out(1),
                "finish": Out(1),
                "gate": Out(range(gates)),
                "unit": Out(range(p.hidden_size)),
                "of_state": Out(1),
                "bias": Out(range(2 * gates * p.hidden_size)),
                "phase_end": Out(1),
                "write_slot": Out(range(self.slots)),
                "is_running": Out(1),
                "step": Out(steps),
                "steps": Out(steps),
                "step_begins": Out(1),
                "block_begins": Out(1),
                "bottom_ends": Out(1),
                "bottom_steps": Out(steps),
                "block_ends": Out(1),
                "waits_for_weights": Out(1),
                "waits_for_drain": Out(1),
                "multiplies": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        pending = Signal()  # a phase was issued whose results are not all in
        is_last_layer = wire(m, self.layer == p.layers - 1, "is_last_layer")
        at_bottom = wire(m, self.layer == 0, "at_bottom")
        base = Signal(range(self.slots))  # where the layer below wrote its first step
        below = wire(m, Mux(base == 0, self.slots - 1, base - 1), "below")
        limited = wire(m, _between(self.next_steps, 1, p.max_steps), "limited")
        step_ends = Signal()
        is_last_step = wire(m, self.step == self.steps - 1, "is_last_step")
        runs_dry = Signal()  # a step of layer 0 in which nobody would take part
        if p.completion:
            m.d.comb += runs_dry.eq(at_bottom & ~self.works & self.early_end & (self.step != 0))
            is_fed = Const(1, 1)
        else:
            is_fed = ~at_bottom | self.works

        m.d.comb += self.next_flags.eq(Mux(at_bottom, self.sampled, self.replayed))

        with m.FSM() as fsm:
            m.d.comb += self.is_running.eq(~fsm.ongoing("IDLE"))
            with m.State("IDLE"):
                begins = wire(m, self.run & self.works & self.resident, "begins")
                m.d.comb += self.waits_for_weights.eq(self.run & self.works & ~self.resident)
                m.d.sync += [
                    self.layer.eq(0),
                    self.step.eq(0),
                    self.steps.eq(limited),
                    base.eq(0),
                    self.slot.eq(0),
                    self.write_slot.eq(self.slots - 1),
                ]
                m.d.comb += [self.block_begins.eq(begins), self.bottom_steps.eq(limited)]
                with m.If(begins):
                    m.next = "SAMPLE"
            with m.State("PASS"):
                m.d.comb += self.waits_for_weights.eq(~self.resident)
                with m.If(self.resident):
                    m.next = "SAMPLE"
            with m.State("SAMPLE"):
                has_room = wire(m, ~is_last_layer | self.may_drain, "has_room")
                m.d.comb += self.waits_for_drain.eq(~has_room & ~runs_dry)
                with m.If(runs_dry):
                    m.d.comb += [self.bottom_ends.eq(1), self.bottom_steps.eq(self.step)]
                    m.d.sync += self.steps.eq(self.step)
                    m.next = "DRAIN"
                with m.Elif(has_room & is_fed):
                    m.d.comb += self.sample.eq(1)
                    m.next = "START"
            with m.State("START"):
                m.d.comb += self.step_begins.eq(1)
                m.d.sync += self.flags.eq(self.next_flags)
                m.next = "RUN"
            with m.State("RUN"), m.If(step_ends):
                m.d.comb += self.take.eq(at_bottom)
                m.d.sync += [
                    self.step.eq(self.step + 1),
                    self.slot.eq(Mux(self.slot == self.slots - 1, 0, self.slot + 1)),
                ]
                m.next = "SAMPLE"
                with m.If(is_last_step):
                    m.d.comb += [self.bottom_ends.eq(at_bottom), self.bottom_steps.eq(self.steps)]
                    m.next = "DRAIN"
            with m.State("DRAIN"), m.If(~pending):
                m.d.comb += [self.release.eq(1), self.block_ends.eq(is_last_layer)]
                m.d.sync += [
                    self.layer.eq(self.layer + 1),
                    self.step.eq(0),
                    base.eq(below),
                    self.slot.eq(below),
                    self.write_slot.eq(Mux(below == 0, self.slots - 1, below - 1)),
                ]
                m.next = "PASS"
                with m.If(is_last_layer):
                    m.next = "IDLE"
            running = wire(m, fsm.ongoing("RUN"), "running")
            starting = wire(m, fsm.ongoing("START"), "starting")
        self._parts(m, running, starting, at_bottom, pending, step_ends)
        return m

    def _parts(
        self,
        m: Module,
        running: Signal,
        starting: Signal,
        at_bottom: Signal,
        pending: Signal,
        step_ends: Signal,
    ) -> None:
        """The parts of a step, back to back."""
        p = self.parameters
        cell = p.cell
        gate = Signal(range(len(cell.gates)), name="read_gate")
        unit = Signal(range(p.hidden_size), name="read_unit")
        cycles = max(p.part_cycles(p.input_size), p.part_cycles(p.hidden_size))
        cycle = Signal(range(cycles))
        bias = Signal.like(self.bias, name="read_bias")

        of_input = Mux(at_bottom, p.input_size // p.width, p.hidden_size // p.width)
        words = wire(m, Mux(self.is_state, p.hidden_size // p.width, of_input), "words")
        lasts = Mux(at_bottom, p.part_cycles(p.input_size), p.part_cycles(p.hidden_size))
        length = wire(m, Mux(self.is_state, p.part_cycles(p.hidden_size), lasts), "length")
        # The part that is the first to need all results of the phase before.
        fences = ["reset", "new"] if cell is Cell.GRU_RESET_BEFORE else [cell.gates[0]]
        is_fence = Cat(gate == cell.gates.index(name) for name in fences).any()
        waits = wire(m, is_fence & self.is_state & (unit == 0) & (cycle == 0) & pending, "waits")
        moves = wire(m, running & ~waits, "moves")
        reads = wire(m, moves & (cycle < words), "reads")
        is_last_word = wire(m, cycle == words - 1, "is_last_word")
        part_ends = wire(m, moves & (cycle == length - 1), "part_ends")
        gate_ends = wire(m, part_ends & self.is_state, "gate_ends")
        is_last_unit = wire(m, unit == p.hidden_size - 1, "is_last_unit")
        ends = [cell.gates.index(phase[-1]) for phase in cell.phases]
        starts = [cell.gates.index(phase[0]) for phase in cell.phases]
        is_last_gate = wire(m, Cat(gate == at for at in ends).any(), "is_last_gate")
        phase_end = wire(m, is_last_gate & is_last_unit & self.is_state, "read_phase_end")
        follower = Array(
            # Behind the last gate of a phase the first one, of the next unit.
            starts[ends.index(at)] if at in ends else at + 1
            for at in range(len(cell.gates))
        )[gate]
        m.d.comb += [
            self.word.eq(cycle),
            self.multiplies.eq(reads),
            step_ends.eq(part_ends & phase_end & (gate == ends[-1])),
        ]
        if cell is Cell.GRU_RESET_BEFORE:
            m.d.comb += self.is_product.eq(self.is_state & (gate == cell.gates.index("new")))
        with m.If(starting):
            m.d.sync += [
                gate.eq(0),
                unit.eq(0),
                cycle.eq(0),
                bias.eq(0),
                self.is_state.eq(0),
                self.weight.eq(0),
            ]
        with m.If(reads):
            m.d.sync += self.weight.eq(self.weight + 1)
        with m.If(moves):
            m.d.sync += cycle.eq(cycle + 1)
        with m.If(part_ends):
            m.d.sync += [cycle.eq(0), self.is_state.eq(~self.is_state), bias.eq(bias + 1)]
        with m.If(gate_ends):
            m.d.sync += gate.eq(follower)
            with m.If(is_last_gate):
                m.d.sync += unit.eq(Mux(is_last_unit, 0, unit + 1))
                with m.If(is_last_unit):
                    m.d.sync += gate.eq(gate + 1)
        with m.If(self.phase_done):
            m.d.sync += pending.eq(0)
        with m.If(self.step_done):
            m.d.sync += self.write_slot.eq(
                Mux(self.write_slot == self.slots - 1, 0, self.write_slot + 1)
            )
        with m.If(reads & is_last_word & phase_end):
            m.d.sync += pending.eq(1)

        finishes = wire(m, reads & is_last_word, "finishes")
        m.d.comb += [
            self.add.eq(delay(m, reads, 2, name="reads", init=0)),
            self.start.eq(delay(m, reads & (cycle == 0), 2, name="starts", init=0)),
            self.finish.eq(delay(m, finishes, 2, name="finishes", init=0)),
        ]
        for name, value in (
            ("gate", gate),
            ("unit", unit),
            ("of_state", self.is_state),
            ("bias", bias),
            ("phase_end", phase_end),
        ):
            m.d.comb += getattr(self, name).eq(delay(m, value, 2, name=f"finishing_{name}"))


def _between(value: Signal, low: int, high: int) -> Mux:
    return Mux(value < low, low, Mux(value > high, high, value))
