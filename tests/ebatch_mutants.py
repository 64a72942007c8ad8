"""Faults in the E-BATCH engine that its testbench must find."""

from mutation import Mutant

SMALL = "lstm-2lanes-8x8x2-4wide"
GRU = "gru-reset-after-3lanes-12x8x3-4wide"
DESCRIBED = "lstm-3lanes-12x8x2-4wide-descriptors2"


def _mutant(
    fault: str, file: str, old: str, new: str, found_by: str, config: str = SMALL
) -> Mutant:
    return Mutant(fault, f"ebatch/{file}", old, new, config, found_by, datapath="ebatch")


MUTANTS = (
    _mutant(
        "a sequence begins with the outputs of the one before",
        "top.py",
        "results.first.eq(Cat(flags.first for flags in sequencer.flags))",
        "results.first.eq(0)",
        "sequences",
    ),
    _mutant(
        "a lane without a token does not hold its state",
        "results.py",
        'wire(m, computes.h_valid & outputs["works"], "writes")',
        'wire(m, computes.h_valid, "writes")',
        "starving",
    ),
    _mutant(
        "a lane without a token does not hold its cell",
        "results.py",
        'write.en.eq(computes.carry_valid & others["works"])',
        "write.en.eq(computes.carry_valid)",
        "starving",
    ),
    _mutant(
        "two lanes change their cells",
        "results.py",
        'computes.lane.eq(gated["lane"])',
        'computes.lane.eq(gated["lane"] ^ (gated["gate"] == 2))',
        "sequences",
    ),
    _mutant(
        "upper layers see the flags of the next step",
        "top.py",
        "read.addr.eq(sequencer.step)",
        "read.addr.eq(sequencer.step + 1)",
        "sequences",
    ),
    _mutant(
        "a layer reads the step that it writes",
        "sequencer.py",
        "self.write_slot.eq(Mux(below == 0, self.slots - 1, below - 1))",
        "self.write_slot.eq(below)",
        "sequences",
        GRU,
    ),
    _mutant(
        "a step does not wait for the results of the one before",
        "sequencer.py",
        "(cycle == 0) & pending",
        "0",
        "corners",
    ),
    _mutant(
        "a tag may change without a word",
        "intake.py",
        'wire(m, inside & (beat.tag != tag), "is_cut")',
        'wire(m, inside & 0, "is_cut")',
        "errors",
    ),
    _mutant(
        "draining cuts the first token of a sequence",
        "intake.py",
        "inside | (place != 0)",
        "inside",
        "draining",
        GRU,
    ),
    _mutant(
        "words of a load are counted twice",
        "top.py",
        "registers.words_loaded.eq(weights.word)",
        "registers.words_loaded.eq(weights.word << 1)",
        "sequences",
    ),
    _mutant(
        "a load that is too short counts",
        "weight_store.py",
        'wire(m, index != total - 1, "wrong_length")',
        'wire(m, index > total - 1, "wrong_length")',
        "errors",
    ),
    _mutant(
        "an event overtakes its data",
        "drain.py",
        "with m.Elif(is_free):",
        "with m.Else():",
        "stalls",
    ),
    _mutant(
        "a full queue loses events",
        "event_queue.py",
        "self.i.ready.eq(fifo.w_rdy)",
        "self.i.ready.eq(1)",
        "full_queue",
    ),
    _mutant(
        "outputs of a third step go where those of the first still are",
        "drain.py",
        "drain.may_begin.eq(begun != HALVES)",
        "drain.may_begin.eq(1)",
        "full_queue",
    ),
    _mutant(
        "a sequence ends with the token before its last one",
        "descriptor_lane.py",
        "self.last.eq(remaining == 1)",
        "self.last.eq((remaining == 2) | (remaining == 1))",
        "sequences",
        DESCRIBED,
    ),
    _mutant(
        "the last token of a sequence has the tag of the next one",
        "descriptor_lane.py",
        "        with m.If(loads):\n",
        "        with m.If(queue.r_rdy & self.take & (remaining == 2)):\n"
        "            m.d.sync += self.tag.eq(following.tag)\n"
        "        with m.If(loads):\n",
        "sequences",
        DESCRIBED,
    ),
    _mutant(
        "the second token of a sequence is its first one, moved by a word",
        "descriptor_lane.py",
        "self.address + p.input_size // p.width",
        "self.address + 1",
        "sequences",
        DESCRIBED,
    ),
    _mutant(
        "a token is fetched for a lane that has no room",
        "descriptor_lane.py",
        "is_active & (held != p.token_depth)",
        "is_active",
        "room",
        DESCRIBED,
    ),
    _mutant(
        "more tokens are asked for than can be under way",
        "descriptors.py",
        "chosen.any() & has_room & is_free",
        "chosen.any() & is_free",
        "sequences",
        DESCRIBED,
    ),
    _mutant(
        "a word goes to the lane beside the one it was asked for",
        "descriptors.py",
        "token.lane.eq(of_chosen(list(range(p.lanes))))",
        "token.lane.eq(of_chosen([*range(1, p.lanes), 0]))",
        "sequences",
        DESCRIBED,
    ),
    _mutant(
        "words of before a reset wait for ever",
        "descriptors.py",
        "Mux(self.busy, flight.r_rdy & self.o.ready, 1)",
        "flight.r_rdy & self.o.ready",
        "reset_inside",
        DESCRIBED,
    ),
    _mutant(
        "a descriptor for no lane gives no event",
        "refusals.py",
        "queue.w_en.eq(self.refused)",
        "queue.w_en.eq(self.refused & has_lane)",
        "refusals",
        DESCRIBED,
    ),
    _mutant(
        "a descriptor of no steps goes to its lane",
        "refusals.py",
        "has_lane & (self.i.payload.length != 0)",
        "has_lane",
        "refusals",
        DESCRIBED,
    ),
    _mutant(
        "an event takes the place of one that waits",
        "refusals.py",
        "Mux(is_held, was_refusal, in_turn)",
        "in_turn",
        "full",
        DESCRIBED,
    ),
    _mutant(
        "a full queue loses refusals",
        "refusals.py",
        "Mux(is_good, self.o.ready, queue.w_rdy)",
        "Mux(is_good, self.o.ready, 1)",
        "full",
        DESCRIBED,
    ),
    _mutant(
        "draining holds up first tokens that are under way",
        "described.py",
        "self.write_data[DRAIN_BIT] & ~is_control",
        "self.write_data[DRAIN_BIT]",
        "draining",
        DESCRIBED,
    ),
    _mutant(
        "a refusal does not interrupt",
        "described.py",
        "engine.irq | (refusals.level != 0)",
        "engine.irq",
        "registers",
        DESCRIBED,
    ),
)
