"""The engine without its ends: weights, lanes, and what makes outputs of their sums."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from amaranth.hdl import Cat, Module, Value

from hdl.ebatch.lane_pointers import LanePointers
from hdl.ebatch.lane_store import LaneStore
from hdl.ebatch.mac_lane import MacLane
from hdl.ebatch.parameters import Parameters
from hdl.ebatch.results import Results
from hdl.ebatch.sequencer import Sequencer
from hdl.ebatch.weight_store import WeightStore
from hdl.export import place


@dataclass(frozen=True)
class Core:
    """Parts of the core, for the engine around it to connect the rest of."""

    sequencer: Sequencer
    weights: WeightStore
    results: Results


def build_core(
    m: Module,
    platform: object,
    parameters: Parameters,
    pointers: Sequence[LanePointers],
    tokens: Sequence[Value],
    token_data: Value,
) -> Core:
    """Add the core to a module.

    pointers: of each lane; one may serve all. tokens: of each lane, whether a word of a token comes
    in, which is ``token_data``.
    """
    p = parameters
    m.submodules.sequencer = sequencer = Sequencer(p)
    m.submodules.weights = weights = WeightStore(p)
    m.submodules.results = results = Results(p)
    for name in ("finish", "gate", "unit", "of_state", "phase_end", "layer"):
        m.d.comb += getattr(results, name).eq(getattr(sequencer, name))
    for name in ("cell_clip", "cell_shift", "output_offset"):
        m.d.comb += getattr(results, name).eq(getattr(weights, name))
    m.d.comb += [
        sequencer.resident.eq(weights.resident),
        sequencer.phase_done.eq(results.phase_done),
        sequencer.step_done.eq(results.step_done),
        weights.release.eq(sequencer.release),
        weights.weight.eq(sequencer.weight),
        weights.read_part.eq(sequencer.finish),
        weights.part.eq(Cat(sequencer.of_state, sequencer.gate)),
        weights.bias.eq(sequencer.bias),
        weights.product.eq(results.product),
        results.bias.eq(weights.bias_value),
        results.multiplier.eq(weights.part_multiplier),
        results.shift.eq(weights.part_shift),
        results.product_multiplier.eq(weights.multiplier),
        results.product_shift.eq(weights.shift),
        *(each.layer.eq(sequencer.layer) for each in dict.fromkeys(pointers)),
    ]
    macs = []
    for lane, (token, where) in enumerate(zip(tokens, pointers, strict=True)):
        store = place(platform, LaneStore, p)
        mac = place(platform, MacLane, p.width, p.accumulator_bits)
        m.submodules[f"store_{lane}"] = store
        m.submodules[f"mac_{lane}"] = mac
        macs.append(mac)
        m.d.comb += [
            store.token.eq(token),
            store.token_data.eq(token_data),
            store.tail.eq(where.tail),
            store.head.eq(where.head),
            store.halves.eq(where.halves),
            store.is_state.eq(sequencer.is_state),
            store.is_product.eq(sequencer.is_product),
            store.layer.eq(sequencer.layer),
            store.slot.eq(sequencer.slot),
            store.word.eq(sequencer.word),
            store.write.eq(results.write[lane]),
            store.write_product.eq(results.write_product[lane]),
            store.write_data.eq(results.data),
            store.write_layer.eq(sequencer.layer),
            store.write_slot.eq(sequencer.write_slot),
            store.write_unit.eq(results.unit_out),
            mac.weights.eq(weights.weights),
            mac.values.eq(store.value),
            mac.add.eq(sequencer.add),
            mac.start.eq(sequencer.start),
            mac.finish.eq(sequencer.finish),
        ]
    for mac, following in pairwise(macs):
        m.d.comb += mac.shift_in.eq(following.result)
    m.d.comb += results.sum.eq(macs[0].result)
    return Core(sequencer, weights, results)
