"""Static timing of a mapped netlist: the longest path, with slews, loads and both edges.

The clock is ideal and wires have no capacitance: the figures say how gates compare, not what a
layout will reach. A slower slew is never traded for an earlier arrival: where paths meet, the
latest arrival and the slowest slew go on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from synth.library import NEGATIVE, POSITIVE, Arc, Cell, Library

INPUT_SLEW_PS = 50.0
"""Slew of the inputs and of the clock."""

OUTPUT_LOAD_FF = 10.0
"""Load of an output port: about four gate inputs."""

WIRE_LOAD_FF = 0.0
"""What a net's wire adds to its pins."""

IGNORED_TYPES = ("$scopeinfo",)
"""Cells that are remarks, not circuits."""

GROUPS = ("register_to_register", "register_to_output", "input_to_register", "input_to_output")

_RISE, _FALL = 0, 1
_REGISTER, _INPUT = 0, 2
_SLEW = 4


@dataclass(frozen=True)
class Step:
    """One pin of a path. ``cell`` is empty for a port, whose name is ``pin``."""

    cell: str
    cell_type: str
    pin: str
    edge: str
    arrival_ps: float


@dataclass(frozen=True)
class Timing:
    """The longest paths of a circuit; zero where there is none of a kind.

    Paths from a register include its clock-to-output time, and paths to one its setup time (which
    is in the arrival of the last step).
    """

    period_ps: float
    register_to_register_ps: float
    register_to_output_ps: float
    input_to_register_ps: float
    input_to_output_ps: float
    path: tuple[Step, ...]
    unknown_types: tuple[str, ...]
    """Types of cells that are not in the library: paths start and end there, without delay."""


@dataclass(frozen=True)
class _End:
    """Where a path ends: at a pin or port of a net, and how much later than the net it counts."""

    net: int
    cell: str
    cell_type: str
    pin: str
    source: int
    edge: int
    total: float


def critical_path(
    module: Mapping[str, Any],
    library: Library,
    input_slew_ps: float = INPUT_SLEW_PS,
    output_load_ff: float = OUTPUT_LOAD_FF,
) -> Timing:
    """Time a flat module of Yosys' ``write_json`` (one value of its ``modules``).

    Raises:
        ValueError: The module has a combinational loop or a net with two drivers.
    """
    analysis = _Analysis(module, library, input_slew_ps, output_load_ff)
    analysis.propagate()
    longest: dict[str, _End] = {}
    for group, end in analysis.ends():
        if group not in longest or end.total > longest[group].total:
            longest[group] = end
    totals = [longest[group].total if group in longest else 0.0 for group in GROUPS]
    worst = max(longest.values(), key=lambda end: end.total, default=None)
    return Timing(
        period_ps=max(totals),
        register_to_register_ps=totals[0],
        register_to_output_ps=totals[1],
        input_to_register_ps=totals[2],
        input_to_output_ps=totals[3],
        path=analysis.path(worst) if worst else (),
        unknown_types=tuple(sorted(analysis.unknown_types)),
    )


def net_loads(
    module: Mapping[str, Any], library: Library, output_load_ff: float = OUTPUT_LOAD_FF
) -> dict[int, float]:
    """Capacitance in fF that the driver of each net of a module sees."""
    return _Analysis(module, library, INPUT_SLEW_PS, output_load_ff).loads


class _Analysis:
    """State of one run.

    ``states`` holds six numbers for each net that can change: the latest arrivals of rise and fall
    from registers and from inputs, and the slews of rise and fall.
    """

    def __init__(
        self, module: Mapping[str, Any], library: Library, input_slew: float, output_load: float
    ) -> None:
        self._library = library
        self._input_slew = input_slew
        self._ports: Mapping[str, Any] = module.get("ports", {})
        self._arcs: dict[tuple[str, str], list[Arc]] = {}
        for cell in library.cells.values():
            for arc in cell.arcs:
                self._arcs.setdefault((cell.name, arc.output), []).append(arc)
        self.unknown_types: set[str] = set()
        self.loads: dict[int, float] = {}
        self.states: dict[int, list[float]] = {}
        self._connections: dict[str, dict[str, int]] = {}
        self._types: dict[str, str] = {}
        self._drivers: dict[int, tuple[str, str]] = {}
        self._unknown_ends: list[tuple[str, str, int]] = []
        self._unknown_pins: list[tuple[str, str, int]] = []
        for name, cell in module.get("cells", {}).items():
            self._add(name, cell)
        self._place_unknown()
        for port in self._ports.values():
            if port["direction"] == "output":
                for net in _nets(port["bits"]):
                    self._load(net, output_load)

    def _add(self, name: str, cell: Mapping[str, Any]) -> None:
        kind = cell["type"]
        known = self._library.cells.get(kind)
        if known is None:
            if kind not in IGNORED_TYPES:
                self.unknown_types.add(kind)
                self._add_unknown(name, cell)
            return
        self._types[name] = kind
        connections = self._connections[name] = {}
        bits = cell["connections"]
        for pin in known.pins:
            for net in _nets(bits.get(pin.name, ())):
                connections[pin.name] = net
                if pin.direction == "input":
                    self._load(net, pin.capacitance_ff)
                else:
                    self._load(net, WIRE_LOAD_FF)
                    self._drive(net, name, pin.name)

    def _add_unknown(self, name: str, cell: Mapping[str, Any]) -> None:
        directions = cell.get("port_directions", {})
        for pin, bits in cell["connections"].items():
            for net in _nets(bits):
                if directions.get(pin) == "output":
                    self._start(net, _REGISTER, 0.0)
                elif directions.get(pin) == "input":
                    self._unknown_ends.append((name, pin, net))
                else:
                    self._unknown_pins.append((name, pin, net))

    def _place_unknown(self) -> None:
        """Pins of unknown direction start paths where nothing else drives their net."""
        driven = set(self._drivers) | set(self.states)
        for port in self._ports.values():
            if port["direction"] == "input":
                driven.update(_nets(port["bits"]))
        for name, pin, net in self._unknown_pins:
            if net in driven:
                self._unknown_ends.append((name, pin, net))
            else:
                self._start(net, _REGISTER, 0.0)

    def _load(self, net: int, capacitance: float) -> None:
        self.loads[net] = self.loads.get(net, 0.0) + capacitance

    def _drive(self, net: int, cell: str, pin: str) -> None:
        if net in self._drivers:
            other = ".".join(self._drivers[net])
            raise ValueError(f"net {net} has two drivers: {other} and {cell}.{pin}")
        self._drivers[net] = (cell, pin)

    def _start(self, net: int, source: int, arrival: float) -> None:
        state = [-inf] * 6
        state[source + _RISE] = state[source + _FALL] = arrival
        state[_SLEW + _RISE] = state[_SLEW + _FALL] = self._input_slew
        self.states[net] = state

    def _cell(self, name: str) -> Cell:
        return self._library.cells[self._types[name]]

    def propagate(self) -> None:
        """Fill the state of every net, from the starts on in topological order."""
        for port in self._ports.values():
            if port["direction"] == "input":
                for net in _nets(port["bits"]):
                    self._start(net, _INPUT, 0.0)
        waiting: dict[str, int] = {}
        readers: dict[int, list[str]] = {}
        ready: list[str] = []
        for name in self._types:
            if self._cell(name).register:
                self._evaluate(name)
                continue
            nets = {net for net in self._inputs(name) if self._is_combinational(net)}
            waiting[name] = len(nets)
            for net in nets:
                readers.setdefault(net, []).append(name)
            if not nets:
                ready.append(name)
        while ready:
            name = ready.pop()
            del waiting[name]
            for net in self._evaluate(name):
                for reader in readers.get(net, ()):
                    waiting[reader] -= 1
                    if waiting[reader] == 0:
                        ready.append(reader)
        if waiting:
            raise ValueError(self._loop(set(waiting)))

    def _inputs(self, name: str) -> Iterator[int]:
        connections = self._connections[name]
        for pin in self._cell(name).inputs:
            if pin.name in connections:
                yield connections[pin.name]

    def _is_combinational(self, net: int) -> bool:
        driver = self._drivers.get(net)
        return driver is not None and self._cell(driver[0]).register is None

    def _loop(self, cells: set[str]) -> str:
        """Describe a loop among cells that all wait for another one of them."""
        name = min(cells)
        trail: list[str] = []
        while name not in trail:
            trail.append(name)
            name = min(
                self._drivers[net][0]
                for net in self._inputs(name)
                if net in self._drivers and self._drivers[net][0] in cells
            )
        loop = trail[trail.index(name) :][::-1]
        shown = " -> ".join(f"{cell} ({self._types[cell]})" for cell in loop[:8])
        more = f" and {len(loop) - 8} more" if len(loop) > 8 else ""
        return f"combinational loop through {len(loop)} cells: {shown}{more}"

    def _evaluate(self, name: str) -> list[int]:
        """Give the nets a cell drives their states."""
        kind = self._types[name]
        connections = self._connections[name]
        nets = []
        for pin in self._cell(name).outputs:
            net = connections.get(pin.name)
            if net is None:
                continue
            nets.append(net)
            state = [-inf] * 6
            for arrivals, out_edge, delay, slew in self._edges(name, kind, pin.name, net):
                for source in (_REGISTER, _INPUT):
                    arrival = arrivals[source] + delay
                    if arrival > state[source + out_edge]:
                        state[source + out_edge] = arrival
                if slew > state[_SLEW + out_edge]:
                    state[_SLEW + out_edge] = slew
            if max(state) > -inf:
                self.states[net] = state
        return nets

    def _edges(
        self, name: str, kind: str, output: str, net: int
    ) -> Iterator[tuple[tuple[float, float, float, int, int], int, float, float]]:
        """Every edge that reaches an output.

        Yields the arrivals at the input (from registers at 0, from inputs at 2), with the net and
        the edge of the input behind them; the edge of the output; the delay; and the new slew.
        """
        load = self.loads[net]
        connections = self._connections[name]
        register = self._library.cells[kind].register
        for arc in self._arcs.get((kind, output), ()):
            if register:
                if arc.input != register.clock:
                    continue
                edge = _RISE if register.rising else _FALL
                for out_edge in (_RISE, _FALL):
                    delay, slew = _delay(arc, out_edge, self._input_slew, load)
                    yield (0.0, -inf, -inf, -1, edge), out_edge, delay, slew
                continue
            source_net = connections.get(arc.input, -1)
            state = self.states.get(source_net)
            if state is None:
                continue
            for out_edge in (_RISE, _FALL):
                for edge in _in_edges(arc.sense, out_edge):
                    before = state[_SLEW + edge]
                    if before == -inf:
                        continue
                    delay, slew = _delay(arc, out_edge, before, load)
                    arrivals = (state[edge], -inf, state[_INPUT + edge], source_net, edge)
                    yield arrivals, out_edge, delay, slew

    def ends(self) -> Iterator[tuple[str, _End]]:
        """Every arrival at an end of a path, with its group."""
        for name, port in self._ports.items():
            if port["direction"] == "output":
                for net in _nets(port["bits"]):
                    yield from self._arrivals(net, "", "", name, "output", (0.0, 0.0))
        for name, pin, net in self._unknown_ends:
            yield from self._arrivals(net, name, "unknown", pin, "register", (0.0, 0.0))
        for name, kind in self._types.items():
            register = self._library.cells[kind].register
            if register is None:
                continue
            setups = {setup.pin: setup for setup in register.setups}
            for pin in register.next_state.variables:
                found = self._connections[name].get(pin)
                state = self.states.get(-1 if found is None else found)
                if found is None or state is None:
                    continue
                setup = setups.get(pin)
                tables = (setup.rise, setup.fall) if setup else (None, None)
                times = [
                    table.at(self._input_slew, state[_SLEW + edge])
                    if table and state[_SLEW + edge] > -inf
                    else 0.0
                    for edge, table in enumerate(tables)
                ]
                yield from self._arrivals(found, name, kind, pin, "register", (times[0], times[1]))

    def _arrivals(
        self, net: int, cell: str, kind: str, pin: str, to: str, extra: tuple[float, float]
    ) -> Iterator[tuple[str, _End]]:
        state = self.states.get(net)
        if state is None:
            return
        for source, start in ((_REGISTER, "register"), (_INPUT, "input")):
            for edge in (_RISE, _FALL):
                total = state[source + edge] + extra[edge]
                if total > -inf:
                    yield f"{start}_to_{to}", _End(net, cell, kind, pin, source, edge, total)

    def path(self, end: _End) -> tuple[Step, ...]:
        """The steps to an end, found backwards."""
        steps = [Step(end.cell, end.cell_type, end.pin, _name(end.edge), end.total)]
        net, edge = end.net, end.edge
        while net in self._drivers:
            name, pin = self._drivers[net]
            kind = self._types[name]
            arrival = self.states[net][end.source + edge]
            steps.append(Step(name, kind, pin, _name(edge), arrival))
            best = max(
                (arrivals[end.source] + delay, arrivals[3], arrivals[4])
                for arrivals, out_edge, delay, _ in self._edges(name, kind, pin, net)
                if out_edge == edge
            )
            _, net, edge = best
        steps.append(self._origin(net, edge, steps[-1]))
        return tuple(reversed(steps))

    def _origin(self, net: int, edge: int, first: Step) -> Step:
        if net == -1:
            register = self._library.cells[first.cell_type].register
            clock = register.clock if register else ""
            return Step(first.cell, first.cell_type, clock, _name(edge), 0.0)
        for name, port in self._ports.items():
            if port["direction"] == "input" and net in port["bits"]:
                return Step("", "", name, _name(edge), 0.0)
        return Step("", "unknown", "", _name(edge), 0.0)


def _nets(bits: Any) -> list[int]:
    """The nets among the bits of a connection: constants are written as text."""
    return [bit for bit in bits if isinstance(bit, int)]


def _name(edge: int) -> str:
    return "fall" if edge == _FALL else "rise"


def _in_edges(sense: str, out_edge: int) -> tuple[int, ...]:
    if sense == POSITIVE:
        return (out_edge,)
    return (1 - out_edge,) if sense == NEGATIVE else (_RISE, _FALL)


def _delay(arc: Arc, out_edge: int, slew: float, load: float) -> tuple[float, float]:
    """Delay and output slew of one edge; an edge without a table never happens."""
    delays = arc.cell_fall if out_edge == _FALL else arc.cell_rise
    slews = arc.fall_transition if out_edge == _FALL else arc.rise_transition
    if delays is None:
        return -inf, -inf
    return delays.at(slew, load), slews.at(slew, load) if slews else 0.0
