"""Testbench of the FP16 unit: every result of every instruction, under any stall, at full speed."""

from collections import Counter, deque
from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np

from golden.fp16_instruction import Form, Group, Instruction, Operation, is_error
from golden.fp16_unit import execute
from golden.rounding import Mode
from hdl.fp16.configurations import UnitConfiguration
from hdl.fp16.divide_group import DivideGroup
from hdl.fp16.parameters import Parameters
from hdl.fp16.top import STATUS_LAYOUT
from sim.bench import PATTERNS, Bench, Sink, Source, bench_test
from sim.fp16.operands import weights
from sim.fp16.program import golden_format, golden_unit, pack, random_program, unpack
from sim.packing import pack_rows

#: Instructions of the longest random program.
INSTRUCTIONS = 6_000
#: Instructions of the program that shows the sustained throughput.
SUSTAINED = 2_000
Patterns = tuple[str, str]
FLOWING: Patterns = ("flowing", "flowing")


class StatusMonitor:
    """Compares the status port with the handshakes in every cycle."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._wires = [
            bench.port(name) for name in ("i__valid", "i__ready", "o__valid", "o__ready")
        ]
        self._status = bench.port("status")
        self._inside = 0

    def sample(self, cycle: int) -> None:
        i_valid, i_ready, o_valid, o_ready = (bool(int(wire.value)) for wire in self._wires)
        status = int(self._status.value)
        stalls = (i_valid and not i_ready, o_valid and not o_ready)
        shown = tuple(
            bool(status >> STATUS_LAYOUT[name].offset & 1)
            for name in ("input_stalled", "output_stalled")
        )
        self._bench.check(shown == stalls, f"status shows the wrong stalls in cycle {cycle}")
        busy = bool(status >> STATUS_LAYOUT["busy"].offset & 1)
        self._bench.check(busy == (self._inside > 0), f"status is wrong on busy in cycle {cycle}")
        self._inside += (i_valid and i_ready) - (o_valid and o_ready)

    def drive(self) -> None:
        pass


class Unit:
    """The design under test with its source, sink and status."""

    def __init__(self, bench: Bench) -> None:
        assert isinstance(bench.configuration, UnitConfiguration)
        self.bench = bench
        self.parameters: Parameters = bench.configuration.parameters
        self.golden = golden_unit(self.parameters)
        self.latencies: list[int] = []
        bench.port("flush").value = 0

    def ends(self, program: Sequence[Instruction], patterns: Patterns) -> tuple[Source, Sink]:
        beats = pack(program, self.parameters)
        return Source(self.bench, "i", beats, patterns[0]), Sink(self.bench, "o", patterns[1])

    async def run(
        self, program: Sequence[Instruction], patterns: Patterns = FLOWING
    ) -> tuple[Source, Sink]:
        """Execute a program and check every result; none may follow the last."""
        source, sink = self.ends(program, patterns)
        for end in (source, sink):
            end.drive()
        # Without a pause there is little for the status to show, and watching it takes time.
        monitors = () if patterns == FLOWING else (StatusMonitor(self.bench),)
        ends = (source, sink, *monitors)
        limit = 100 * len(program) + 1000
        await self.bench.run(ends, lambda: len(sink.received) >= len(program), limit=limit)
        for _ in range(8):
            await self.bench.tick(*ends)
        self.check(program, source, sink)
        return source, sink

    def check(self, program: Sequence[Instruction], source: Source, sink: Sink) -> None:
        """Match results with instructions by tag, then compare fields and order."""
        self.bench.check_equal(len(sink.received), len(program), "results")
        expected = execute(self.golden, program)
        waiting: dict[int, deque[int]] = {}
        for index, each in enumerate(program):
            waiting.setdefault(each.tag, deque()).append(index)
        last: dict[int, int] = {}
        self.latencies.clear()
        for cycle, payload in sink.received:
            got = unpack(payload, self.parameters)
            if not waiting.get(got.tag):
                raise AssertionError(f"tag {got.tag} in cycle {cycle} is of no instruction inside")
            index = waiting[got.tag].popleft()
            if source.taken[index] > cycle:
                raise AssertionError(f"tag {got.tag} came before its instruction")
            if got != expected[index]:
                raise AssertionError(
                    f"instruction {index}, {_describe(program[index])}: "
                    f"got {_show(got)}, expected {_show(expected[index])}"
                )
            group = self._datapath(program[index])
            if last.get(group, -1) > index:
                raise AssertionError(f"instruction {index} was overtaken by one of its group")
            last[group] = index
            self.latencies.append(cycle - source.taken[index])
            self.bench.checks += 4

    def _datapath(self, instruction: Instruction) -> int:
        if is_error(instruction, self.golden):
            return Group.MOVE
        group = Operation(instruction.operation).group
        return Group.COMPARE if group == Group.SIGN else group

    def error_count(self) -> int:
        status = int(self.bench.port("status").value)
        return status >> STATUS_LAYOUT["error_count"].offset

    def depth(self, group: Group) -> int:
        d = self.parameters.depths
        return {
            Group.FMA: d.fma,
            Group.COMPARE: d.compare,
            Group.SIGN: d.compare,
            Group.CONVERT: d.convert,
            Group.DOT: d.dot,
            Group.REDUCE: d.reduce,
            Group.MOVE: d.move,
        }[group]


@bench_test
async def every_operation(bench: Bench) -> None:
    """A long random program: each operation at corner operands, with masks, forms and modes."""
    unit = Unit(bench)
    program = random_program(bench.rng, unit.parameters, INSTRUCTIONS)
    await unit.run(program)
    executed = Counter(each.operation for each in program if not is_error(each, unit.golden))
    known = {
        int(each)
        for each in Operation
        if not is_error(_plainest(each), unit.golden) or each.group == Group.CONVERT
    }
    packs = {int(each) for each in Operation if each.packs}
    missing = known - packs - executed.keys()
    bench.check(not missing, f"the program never executes operations {sorted(missing)}")


@bench_test
async def all_stalls(bench: Bench) -> None:
    """Random programs under every combination of a pausing input and a refusing output."""
    unit = Unit(bench)
    for patterns in product(PATTERNS, PATTERNS):
        await unit.run(random_program(bench.rng, unit.parameters, 250), patterns)


@bench_test
async def each_group_alone(bench: Bench) -> None:
    """One instruction a cycle, each result after the depth of its group."""
    unit = Unit(bench)
    for group in Group:
        operations = [each for each in Operation if each.group == group]
        program = random_program(bench.rng, unit.parameters, 200, operations)
        program = [each for each in program if unit._datapath(each) == _datapath_of(group)]
        source, sink = await unit.run(program)
        steps = [after - before for before, after in pairwise(source.taken)]
        if group == Group.DIVIDE:
            rate = DivideGroup(unit.parameters).cycles
            bench.check_equal(steps, [rate] * len(steps), "cycles between divisions")
            continue
        bench.check_equal(steps, [1] * len(steps), f"cycles between instructions of {group.name}")
        latency = [
            cycle - taken for (cycle, _), taken in zip(sink.received, source.taken, strict=True)
        ]
        bench.check_equal(latency, [unit.depth(group)] * len(latency), f"latency of {group.name}")


@bench_test
async def all_groups_mixed(bench: Bench) -> None:
    """A random mixture of groups of different depths: no cycle without a result, once filled.

    Oldest first, no result takes longer than those of the deepest group.
    """
    unit = Unit(bench)
    operations = [each for each in Operation if each.group != Group.DIVIDE]
    program = random_program(bench.rng, unit.parameters, 1000, operations)
    program = [each for each in program if unit._datapath(each) != Group.DIVIDE]
    source, _ = await unit.run(program)
    deepest = max(unit.depth(group) for group in Group if group != Group.DIVIDE)
    lost = source.taken[-1] - source.taken[0] + 1 - len(program)
    bench.check(lost <= deepest, f"{lost} cycles lost, of which {deepest} fill the pipelines")
    latency = max(unit.latencies)
    bench.check(latency <= deepest, f"a result came after {latency} cycles, {deepest} at most")


@bench_test
async def sustained_throughput(bench: Bench) -> None:
    """Fused multiply-adds in all lanes, of ordinary numbers: one instruction a cycle."""
    unit = Unit(bench)
    p = unit.parameters
    fmt = golden_format(p.lane)
    a, b, c = (
        pack_rows(weights(bench.rng, fmt, (SUSTAINED, p.positions)), fmt.width) for _ in range(3)
    )
    program = [
        Instruction(
            operation=Operation.FMADD,
            mask=(1 << p.positions) - 1,
            tag=index % (1 << p.tag_bits),
            a=a[index],
            b=b[index],
            c=c[index],
        )
        for index in range(SUSTAINED)
    ]
    first = bench.cycle
    source, _ = await unit.run(program)
    bench.check_equal(np.diff(source.taken), [1] * (SUSTAINED - 1), "cycles between instructions")
    bench.report_work(SUSTAINED * p.lanes, SUSTAINED, first)


@bench_test
async def reserved_codes(bench: Bench) -> None:
    """Every code of every field, one at a time, between instructions that must not notice."""
    unit = Unit(bench)
    p = unit.parameters
    fields = [
        *({"operation": code} for code in range(64)),
        *({"mode": code} for code in range(8)),
        *({"form": code} for code in range(4)),
        *({"form": Form.SCALAR, "operation": code} for code in range(64)),
        *(
            {"operation": operation, "source": source, "destination": destination}
            for operation in (Operation.CONVERT, Operation.CONVERT_HIGH, Operation.PACK_B)
            for source in range(8)
            for destination in range(8)
        ),
    ]
    good = random_program(bench.rng, p, 2 * len(fields), [Operation.FMADD, Operation.SGNJ])
    good = [each for each in good if not is_error(each, unit.golden)][: len(fields)]
    program = []
    for number, (each, changes) in enumerate(zip(good, fields, strict=True)):
        values = {"operation": Operation.FMADD, "mode": Mode.RNE, "form": Form.VECTOR, **changes}
        odd = Instruction(**{**vars(each), **values, "tag": 2 * number + 1 & 0xFF})
        program += [Instruction(**{**vars(each), "tag": 2 * number & 0xFF}), odd]
    errors = sum(is_error(each, unit.golden) for each in program)
    bench.check(0 < errors < len(fields), "some codes are reserved, and some are not")
    await bench.reset()
    await unit.run(program)
    bench.check_equal(unit.error_count(), min(errors, 255), "counted errors")
    # Few enough that the counter does not saturate; each is counted once, however long it waits.
    few = program[:200]
    await bench.reset()
    await unit.run(few, ("random", "random"))
    expected = sum(is_error(each, unit.golden) for each in few)
    bench.check_equal(unit.error_count(), expected, "counted errors")


@bench_test
async def flags_of_inactive_lanes(bench: Bench) -> None:
    """Each lane in turn raises each flag, under every mask of one lane and of all but one."""
    unit = Unit(bench)
    p = unit.parameters
    fmt = golden_format(p.lane)
    largest, one = fmt.infinity - 1, fmt.bias << fmt.fraction_bits
    causes = {
        Operation.MUL: [(largest, largest), (1, 1), (one + 1, one + 1), (fmt.infinity, 0)],
        Operation.DIV: [(one, 0), (0, 0)],
        Operation.LT: [(fmt.canonical_nan, one)],
        Operation.MIN: [(fmt.infinity | 1, one)],
    }
    everything = (1 << p.positions) - 1
    masks = [1 << lane for lane in range(p.positions)]
    masks += [everything ^ mask for mask in masks] + [everything, 0]
    program: list[Instruction] = []
    for operation, pairs in causes.items():
        for (a, b), lane, mask in product(pairs, range(p.lanes), masks):
            registers = [
                pack_rows([[value if at == lane else one for at in range(p.positions)]], fmt.width)
                for value in (a, b)
            ]
            program.append(
                Instruction(
                    operation=operation,
                    mask=mask,
                    tag=len(program) & 0xFF,
                    a=registers[0][0],
                    b=registers[1][0],
                )
            )
    await unit.run(program[:: max(1, len(program) // 2000)])


@bench_test
async def reset_and_flush_in_mid_stream(bench: Bench) -> None:
    """A reset or a flush at many moments: nothing inside survives, what follows is exact."""
    unit = Unit(bench)
    for moment in range(1, 25):
        program = random_program(bench.rng, unit.parameters, 40)
        source, sink = unit.ends(program, ("random", "bursts"))
        for _ in range(moment):
            await bench.tick(source, sink)
        source.withdraw()
        if moment % 2:
            await bench.reset(1)
        else:
            bench.port("flush").value = 1
            await bench.tick()
            bench.check(not int(bench.port("o__valid").value), "a result is offered in a flush")
            bench.port("flush").value = 0
        await bench.tick()
        bench.check(not int(bench.port("o__valid").value), "a result survived")
        bench.check(not int(bench.port("status").value) & 1, "busy after all was dropped")
        await unit.run(random_program(bench.rng, unit.parameters, 12))


def _plainest(operation: Operation) -> Instruction:
    return Instruction(operation=operation)


def _datapath_of(group: Group) -> Group:
    return Group.COMPARE if group == Group.SIGN else group


def _describe(each: Instruction) -> str:
    name = Operation(each.operation).name if each.operation in set(Operation) else each.operation
    return (
        f"{name} {each.source}->{each.destination} form {each.form} mode {each.mode} "
        f"mask {each.mask:b} a {each.a:x} b {each.b:x} c {each.c:x}"
    )


def _show(result: object) -> str:
    return ", ".join(f"{name} {value:x}" for name, value in vars(result).items())
