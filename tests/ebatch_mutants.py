"""Faults in the E-BATCH engine that its testbench must find."""

from mutation import Mutant

SMALL = "lstm-2lanes-8x8x2-4wide"
GRU = "gru-reset-after-3lanes-12x8x3-4wide"


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
)
