"""What large arrays consist of, without building them: their units, and how many there are."""

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from hdl.datapath import Configuration, Datapath
from hdl.export import Inventory, take_inventory
from sim.cache import build_once, fingerprint, fingerprint_files
from sim.paths import BUILD, ROOT
from sim.tools import versions
from synth.blocks import Block, cut_units, instances

INVENTORIES = BUILD / "inventories"


def inventory_of(configuration: Configuration) -> Inventory:
    """The units of a configuration, from the build folder if its sources have not changed."""
    package = find_spec(type(configuration).__module__.partition(".")[0])
    places = [Path(place) for place in (package and package.submodule_search_locations) or ()]
    sources = fingerprint_files({ROOT / "hdl", *places})

    def build(unfinished: Path) -> None:
        made = take_inventory(configuration.build())
        (unfinished / "units.il").write_text(made.text)
        (unfinished / "instances.json").write_text(json.dumps(made.instances))

    key = fingerprint(sources, repr(configuration), str(versions()))
    folder = build_once(INVENTORIES / key, build)
    instances = json.loads((folder / "instances.json").read_text())
    return Inventory((folder / "units.il").read_text(), instances)


def counts_at_scale(
    datapath: Datapath, name: str, blocks: Sequence[Block]
) -> dict[str, float] | None:
    """How often each of ``blocks``, of configuration ``name``, occurs in the array told from it.

    In the middle one, if there are several; None if there is none. What it lacks counts as often as
    it occurs in the small one.
    """
    told = sorted(
        (each for each in datapath.scales if each.small == name), key=lambda each: each.multipliers
    )
    if not told:
        return None
    inventory = inventory_of(told[len(told) // 2].large)
    large = {each.key: inventory.instances[each.name] for each in cut_units(inventory.text)}
    own = instances(blocks)
    return {each.name: large.get(each.key, own[each.name]) for each in blocks}
