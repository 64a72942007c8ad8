"""What an engine must say, by the golden model: each sequence by itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from golden.ebatch import Layer, run_layers
from hdl.ebatch.flags import STEP_BITS, Status, done_event, output_beat
from hdl.ebatch.parameters import Parameters
from hdl.ebatch.refusals import described_event
from sim.ebatch.tokens import Submission
from sim.packing import unpack_fields


@dataclass
class LaneRecord:
    """What came out of one lane, in order.

    outputs: of each step that was sent: tag, step, last, cycle of the last beat, values. events:
    tag, steps, status, cycle.
    """

    outputs: list[tuple[int, int, int, int, tuple[int, ...]]] = field(default_factory=list)
    events: list[tuple[int, int, int, int]] = field(default_factory=list)


def record(
    parameters: Parameters,
    outputs: Sequence[tuple[int, int]],
    events: Sequence[tuple[int, int]],
) -> list[LaneRecord]:
    """Sort what was received, as pairs of cycle and payload, by lanes. No event is of a refusal.

    Raises AssertionError if the beats of a step are not together.
    """
    lanes = [LaneRecord() for _ in range(parameters.lanes)]
    beats: list[dict[str, int]] = []
    layout = output_beat(parameters)
    words = parameters.hidden_size // parameters.width
    for cycle, payload in outputs:
        beat = unpack_fields(layout, payload)
        beats.append(beat)
        if not beat["end"]:
            continue
        step = [{**each, "data": 0, "end": 0} for each in beats]
        if len(beats) != words or any(each != step[0] for each in step):
            raise AssertionError(f"cycle {cycle}: a step came in {len(beats)} beats: {step}")
        data = b"".join(each["data"].to_bytes(parameters.width, "little") for each in beats)
        values = tuple(np.frombuffer(data, np.int8).tolist())
        lanes[beat["lane"]].outputs.append((beat["tag"], beat["step"], beat["last"], cycle, values))
        beats = []
    if beats:
        raise AssertionError("the last step is not complete")
    events_layout = (described_event if parameters.descriptors else done_event)(parameters)
    for cycle, payload in events:
        event = unpack_fields(events_layout, payload)
        lanes[event["lane"]].events.append((event["tag"], event["steps"], event["status"], cycle))
    return lanes


def expect(
    parameters: Parameters,
    network: Sequence[Layer],
    submissions: Sequence[Submission],
    all_steps: bool,
) -> list[LaneRecord]:
    """What must come out; cycles are 0."""
    lanes = [LaneRecord() for _ in range(parameters.lanes)]
    steps_modulo = 1 << STEP_BITS
    for submission in submissions:
        lane = lanes[submission.lane]
        values = run_layers(network, submission.inputs)[-1].outputs
        length = len(submission)
        for step, row in enumerate(values):
            last = int(step == length - 1 and not submission.is_cut)
            if last or all_steps:
                lane.outputs.append(
                    (submission.tag, step % steps_modulo, last, 0, tuple(row.tolist()))
                )
        status = Status.CUT if submission.is_cut else Status.OK
        lane.events.append((submission.tag, length % steps_modulo, int(status), 0))
    return lanes


def compare(found: Sequence[LaneRecord], expected: Sequence[LaneRecord]) -> int:
    """Compare all lanes; how many values were compared.

    Raises AssertionError that names lane, sequence and step of the first difference, and if an
    event was visible before the last output of its sequence.
    """
    compared = 0
    for lane, (have, want) in enumerate(zip(found, expected, strict=True)):
        for index, (got, right) in enumerate(zip(have.outputs, want.outputs, strict=False)):
            if got[:3] != right[:3]:
                raise AssertionError(
                    f"lane {lane}, output {index}: tag, step, last are {got[:3]}, not {right[:3]}"
                )
            if got[4] != right[4]:
                unit = next(at for at, pair in enumerate(zip(got[4], right[4], strict=True))
                            if pair[0] != pair[1])  # fmt: skip
                raise AssertionError(
                    f"lane {lane}, tag {got[0]}, step {got[1]}, unit {unit}: "
                    f"{got[4][unit]}, expected {right[4][unit]}"
                )
            compared += 3 + len(got[4])
        if len(have.outputs) != len(want.outputs):
            raise AssertionError(
                f"lane {lane}: {len(have.outputs)} outputs, expected {len(want.outputs)}"
            )
        events = [event[:3] for event in have.events]
        if events != [event[:3] for event in want.events]:
            raise AssertionError(
                f"lane {lane}: events {events}, expected {[event[:3] for event in want.events]}"
            )
        compared += 3 * len(events)
        # In the order of the lane, the k-th last output belongs to the k-th event that is OK.
        last_outputs = [output[3] for output in have.outputs if output[2]]
        done = [event[3] for event in have.events if event[2] == Status.OK]
        for data, event in zip(last_outputs, done, strict=True):
            if event <= data:
                raise AssertionError(
                    f"lane {lane}: an event in cycle {event}, its data in cycle {data}"
                )
            compared += 1
    return compared
