"""What a datapath tells the workbench about itself, and how datapaths are found."""

import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec

from amaranth.lib.wiring import Component

ENTRY_POINT_GROUP = "assay.datapaths"


class Configuration(ABC):
    """Parameters of one circuit: a frozen dataclass that validates itself in ``__post_init__``."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Stable name, unique within the datapath; also names its folder under ``build/``."""

    @property
    @abstractmethod
    def testbenches(self) -> tuple[str, ...]:
        """Modules of the cocotb testbenches that check this circuit."""

    @property
    @abstractmethod
    def golden(self) -> tuple[str, ...]:
        """Golden functions it is checked by, as ``module.function``."""

    @abstractmethod
    def build(self) -> Component:
        """The top component."""

    @property
    def clock_ps(self) -> Mapping[str, float]:
        """By process, the clock period in ps it is mapped for, where the usual one won't do."""
        return {}

    @property
    def targets(self) -> tuple[str, ...]:
        """What it is mapped for, as in ``synth/targets.py``: "area", "clock", "efficiency"."""
        return ("area", "clock")


@dataclass(frozen=True)
class Comparison:
    """A candidate set against its fair baseline: two configurations, by name.

    name: where and what, as in "PE: encoder at the edge". published: what the paper claims, with
    its process, or "not available".
    """

    name: str
    baseline: str
    candidate: str
    published: str = "not available"

    @property
    def idea(self) -> str:
        """What is compared, whatever it is part of: the name after its first colon."""
        return self.name.partition(": ")[2] or self.name


@dataclass(frozen=True)
class Scale:
    """A large array whose cost is told from a small one, block by block (``synth/scale.py``).

    name: of the scale, such as "1 TOPS". organisation: what kind of array. multipliers: how many
    ``large`` has; each does one unit of work a cycle. small: name of a mapped configuration.
    large: the same array at scale, which is neither simulated nor mapped as a whole.
    """

    name: str
    organisation: str
    multipliers: int
    small: str
    large: Configuration

    def __post_init__(self) -> None:
        if self.multipliers < 1:
            raise ValueError(f"scale {self.name}, {self.large.name}: no multipliers")


@dataclass(frozen=True)
class PublishedGain:
    """What the paper claims for one scale, in %, on average over the organisations."""

    scale: str
    area_efficiency: float
    energy_efficiency: float


@dataclass(frozen=True)
class Reference:
    """A public design of the same purpose, mapped by this project's authors.

    config: the configuration of this datapath that is set beside it. library: the process whose
    full library it was mapped to. smallest, fastest: area in µm² and delay in ns of the whole
    design, flattened, as ``synth/reference.py`` maps; None where it was not measured. source:
    where the design comes from and in which form it was mapped.
    """

    name: str
    config: str
    library: str
    smallest: tuple[float, float] | None = None
    fastest: tuple[float, float] | None = None
    source: str = ""

    def __post_init__(self) -> None:
        measured = [each for each in (self.smallest, self.fastest) if each is not None]
        if not measured or not all(min(each) > 0 for each in measured):
            raise ValueError(
                f"public design {self.name}: smallest and fastest are an area in µm² and a delay "
                "in ns, both above 0; one of the two may be left out"
            )


@dataclass(frozen=True)
class Datapath:
    """A datapath, as found in ``hdl/<name>/__init__.py`` under the name ``DATAPATH``.

    configurations: all named instances, in the order they are reported.
    small: the instance that simulates and maps in seconds.
    mapped: names of the instances ``make synth`` maps. work: one unit of useful work.
    references: public designs that are set beside instances.
    scales: large arrays; comparisons of their small ones are made at scale too, and averaged over
    the organisations. published_gains: what the paper says of these averages.
    """

    name: str
    summary: str
    paper: str
    work: str
    configurations: tuple[Configuration, ...]
    small: str
    mapped: tuple[str, ...]
    comparisons: tuple[Comparison, ...] = ()
    references: tuple[Reference, ...] = ()
    scales: tuple[Scale, ...] = ()
    published_gains: tuple[PublishedGain, ...] = ()
    by_name: Mapping[str, Configuration] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_name = {configuration.name: configuration for configuration in self.configurations}
        if len(by_name) < len(self.configurations):
            raise ValueError(f"datapath {self.name}: two configurations have the same name")
        compared = [n for c in self.comparisons for n in (c.baseline, c.candidate)]
        compared += [reference.config for reference in self.references]
        compared += [scale.small for scale in self.scales]
        for name in (self.small, *self.mapped, *compared):
            if name not in by_name:
                raise ValueError(f"datapath {self.name}: no configuration is named {name!r}")
        for comparison in self.comparisons:
            sides = (by_name[comparison.baseline], by_name[comparison.candidate])
            if sides[0].clock_ps != sides[1].clock_ps or sides[0].targets != sides[1].targets:
                raise ValueError(
                    f"datapath {self.name}: {comparison.name} compares circuits that are mapped "
                    "for different clocks or targets"
                )
        object.__setattr__(self, "by_name", by_name)

    def configuration(self, name: str) -> Configuration:
        """The configuration of that name. Raises ValueError that lists the names there are."""
        if name not in self.by_name:
            known = "\n  ".join(self.by_name)
            raise ValueError(
                f"datapath {self.name} has no configuration {name!r}; it has\n  {known}"
            )
        return self.by_name[name]


def find_datapaths() -> dict[str, Datapath]:
    """All datapaths by name: packages of ``hdl`` and the entry points of other distributions."""
    package = import_module("hdl")
    modules = [
        import_module(f"hdl.{found.name}")
        for found in pkgutil.iter_modules(package.__path__)
        if found.ispkg
    ]
    found = [module.DATAPATH for module in modules if hasattr(module, "DATAPATH")]
    found += [entry.load() for entry in entry_points(group=ENTRY_POINT_GROUP)]
    return {datapath.name: datapath for datapath in sorted(found, key=lambda d: d.name)}


def find_datapath(name: str) -> Datapath:
    """The datapath of that name. Raises ValueError that lists the names there are."""
    if name.isidentifier() and find_spec(f"hdl.{name}"):
        module = import_module(f"hdl.{name}")  # without loading all the others
        if hasattr(module, "DATAPATH"):
            return module.DATAPATH
    datapaths = find_datapaths()
    if name not in datapaths:
        raise ValueError(f"no datapath is named {name!r}; there are: {', '.join(datapaths)}")
    return datapaths[name]
