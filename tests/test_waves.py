"""Waves: the FST of a small run, read with Python's zlib and a parser of its own."""

import os
import subprocess
import zlib
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate, pairwise
from pathlib import Path

from hdl.datapath import find_datapath
from sim.model import RUNTIME
from sim.run import simulate, waves_file
from sim.tools import compiler

CONFIGURATION = "pe-int4-acc12-nr4sd-edge-edge"
HEADER, GEOMETRY, HIERARCHY, VALUE_CHANGES = 0, 3, 6, 8
SCOPE, UPSCOPE, ATTRIBUTE, ATTRIBUTE_END = 254, 255, 252, 253
#: Around where the encodings of a length change, and several stored blocks.
SIZES = (0, 1, 14, 15, 16, 269, 270, 271, 525, 65535, 65536, 131070, 200000)

# Writes both streams of each size's first bytes of the input, each behind its length; fails if a
# stream is written where there is no room for it.
PROGRAM = r"""
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <lz4.h>
#include <vector>
#include <zlib.h>
static void put(const std::vector<unsigned char>& data, uint32_t size) {
    std::fwrite(&size, 4, 1, stdout);
    std::fwrite(data.data(), 1, size, stdout);
}
int main(int count, char** sizes) {
    std::vector<unsigned char> input(1 << 18);
    input.resize(std::fread(input.data(), 1, input.size(), stdin));
    const char* text = reinterpret_cast<const char*>(input.data());
    for (int i = 1; i < count; ++i) {
        const int size = std::atoi(sizes[i]);
        std::vector<unsigned char> to(LZ4_compressBound(size));
        char* end = reinterpret_cast<char*>(to.data());
        const int block = LZ4_compress_default(text, end, size, static_cast<int>(to.size()));
        put(to, block);
        if (LZ4_compress_default(text, end, size, block) != block) return 1;
        if (LZ4_compress_default(text, end, size, block - 1) != 0) return 1;
        to.resize(compressBound(size));
        uLongf room = to.size();
        if (compress2(to.data(), &room, input.data(), size, 9) != Z_OK) return 1;
        put(to, static_cast<uint32_t>(room));
        --room;
        if (compress2(to.data(), &room, input.data(), size, 9) != Z_BUF_ERROR) return 1;
    }
}
"""


def test_streams_decode(tmp_path: Path) -> None:
    (tmp_path / "streams.cpp").write_text(PROGRAM)
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{RUNTIME / 'fst'}"]
    subprocess.run([compiler(), *flags, "streams.cpp", "-o", "streams"], cwd=tmp_path, check=True)
    data = os.urandom(max(SIZES))
    output = subprocess.run(
        [tmp_path / "streams", *map(str, SIZES)], input=data, stdout=subprocess.PIPE, check=True
    ).stdout
    streams = Bytes(output)
    for size in SIZES:
        assert lz4(streams.take(int.from_bytes(streams.take(4), "little"))) == data[:size]
        assert inflate(streams.take(int.from_bytes(streams.take(4), "little"))) == data[:size]
    assert streams.left == 0


def test_waves_show_the_recorded_run() -> None:
    result = simulate(find_datapath("ent"), CONFIGURATION, waves=True)
    assert result.verdict == "pass", result.message
    file = waves_file(result)
    record, _, samples = (file.parent / "ports.bin").read_bytes().partition(b"\n")
    samples = samples.removesuffix(b"end\n")
    ports = [(name, int(width)) for name, width in (p.split(b":") for p in record.split())]
    sizes = [1 if width <= 8 else 2 if width <= 16 else 4 for _, width in ports]
    assert len(samples) == result.simulated_cycles * sum(sizes)

    blocks = dict(fst_blocks(file.read_bytes()))
    header = Bytes(blocks[HEADER])
    start, end = header.number(), header.number()
    header.take(4 * 8)  # endianness, memory, scopes, variables
    handles, sections = header.number(), header.number()
    period = 10 * 10 ** (-9 - int.from_bytes(header.take(1), "big", signed=True))
    # The first edge is at time zero; a test's last edge and the next one's first are apart by 1.
    assert start == 0
    assert end // period == result.simulated_cycles - 1
    assert sections == 1

    widths = read_geometry(Bytes(blocks[GEOMETRY]))
    assert len(widths) == handles
    variables = read_hierarchy(Bytes(blocks[HIERARCHY]))
    for name, width in [*ports, (b"clk", 1)]:
        assert widths[variables[name]] == width, name
    changes = read_value_changes(Bytes(blocks[VALUE_CHANGES]), widths)

    clock = changes[variables[b"clk"]]
    rises = [time for time, level in clock if level == 1]
    assert len(rises) == result.simulated_cycles
    assert [level for _, level in clock] == [1, 0] * (len(clock) // 2) + [1] * (len(clock) % 2)
    assert end - rises[-1] < period
    offset = 0
    for (name, _), size in zip(ports, sizes, strict=True):
        history = changes[variables[name]]
        times = [time for time, _ in history]
        assert len(history) > 1, name
        # Nothing precedes the first edge; behind it, a port has what it had before the edge.
        for cycle in range(1, result.simulated_cycles):
            at = cycle * sum(sizes) + offset
            _, shown = history[bisect_left(times, rises[cycle]) - 1]
            assert shown == int.from_bytes(samples[at : at + size], "little"), (name, cycle)
        offset += size


class Bytes:
    """Data taken from its front."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def take(self, size: int) -> bytes:
        assert 0 <= size <= self.left, "the data ends too early"
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self) -> int:
        return int.from_bytes(self.take(8), "big")

    def varint(self, signed: bool = False) -> int:
        value = shift = 0
        more = True
        while more:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            more = byte >= 128
        return value - (1 << shift) if signed and byte & 64 else value

    def text(self) -> bytes:
        return self.take(self.data.index(b"\0", self.at) + 1 - self.at)[:-1]


def lz4(data: bytes) -> bytes:
    """Decodes an LZ4 block that is a single run of literals."""
    block = Bytes(data)
    token = block.take(1)[0]
    assert token & 15 == 0, "the last sequence has a match"
    size = token >> 4
    more = size == 15
    while more:
        byte = block.take(1)[0]
        size += byte
        more = byte == 255
    assert size == block.left
    return block.take(size)


def inflate(data: bytes) -> bytes:
    """Decodes a zlib stream that must end with the data."""
    stream = zlib.decompressobj()
    result = stream.decompress(data)
    assert stream.eof and not stream.unused_data
    return result


def unpacked(data: bytes, size: int) -> bytes:
    """A section as it was before the writer compressed it, if it did."""
    plain = data if len(data) == size else inflate(data)
    assert len(plain) == size
    return plain


def fst_blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each block; their lengths lead exactly to the end of the file."""
    file = Bytes(data)
    kinds = []
    while file.left:
        kinds.append(file.take(1)[0])
        yield kinds[-1], file.take(file.number() - 8)  # a length counts itself
    assert kinds == [HEADER, VALUE_CHANGES, GEOMETRY, HIERARCHY]


def read_geometry(block: Bytes) -> list[int]:
    """Width of each handle, from 1 on."""
    size, count = block.number(), block.number()
    geometry = Bytes(unpacked(block.take(block.left), size))
    widths = [geometry.varint() for _ in range(count)]
    assert geometry.left == 0
    return widths


def read_hierarchy(block: Bytes) -> dict[bytes, int]:
    """Index of the handle of each of the outermost variables, by name without range."""
    size = block.number()
    hierarchy = Bytes(lz4(block.take(block.left)))
    assert hierarchy.left == size
    found: dict[bytes, int] = {}
    depth = handles = 0
    while hierarchy.left:
        tag = hierarchy.take(1)[0]
        if tag == SCOPE:
            hierarchy.take(1), hierarchy.text(), hierarchy.text()
            depth += 1
        elif tag == UPSCOPE:
            depth -= 1
        elif tag == ATTRIBUTE:
            hierarchy.take(2), hierarchy.text(), hierarchy.varint()
        elif tag != ATTRIBUTE_END:
            hierarchy.take(1)
            name, _, alias = hierarchy.text(), hierarchy.varint(), hierarchy.varint()
            handles += not alias
            if depth == 1:
                found.setdefault(name.split(b" ")[0], (alias or handles) - 1)
    assert depth == 0
    return found


def read_value_changes(block: Bytes, widths: list[int]) -> list[list[tuple[int, int]]]:
    """Times and values of each handle."""
    block.number(), block.number(), block.number()  # start, end, memory
    size, packed, count = block.varint(), block.varint(), block.varint()
    assert count == len(widths)
    assert len(unpacked(block.take(packed), size)) == sum(widths)
    assert block.varint() == len(widths)

    # The rest is in front of its lengths.
    rest = block.take(block.left)
    size, packed, count = (int.from_bytes(rest[at:][:8], "big") for at in (-24, -16, -8))
    deltas = Bytes(unpacked(rest[-24 - packed : -24], size))
    times = list(accumulate(deltas.varint() for _ in range(count)))
    assert deltas.left == 0
    rest = rest[: -24 - packed]
    positions_size = int.from_bytes(rest[-8:], "big")
    positions = Bytes(rest[-8 - positions_size : -8])
    chains = rest[: -8 - positions_size]
    assert chains[0] == ord("4")  # packed with LZ4, if at all

    # A position is a step from the previous one, another handle to share, or several unused.
    starts: list[int] = []
    at = shared = 0
    while positions.left:
        if positions.data[positions.at] & 1 == 0:
            starts += [0] * (positions.varint() >> 1)
            continue
        step = positions.varint(signed=True) >> 1
        if step > 0:
            at += step
            starts.append(at)
        else:
            shared = -step - 1 if step else shared
            starts.append(starts[shared])
    assert len(starts) == len(widths)

    ends = sorted({*filter(None, starts), len(chains)})
    following = dict(pairwise(ends))
    histories = []
    for start, width in zip(starts, widths, strict=True):
        history: list[tuple[int, int]] = []
        if start:
            chain = Bytes(chains[start : following[start]])
            size = chain.varint()
            data = chain.take(chain.left)
            chain = Bytes(lz4(data) if size else data)
            assert not size or chain.left == size
            index = 0
            while chain.left:
                word = chain.varint()
                assert word & 1 == 0, "unknown values, which Verilator does not have"
                if width == 1:
                    value, step = word >> 1 & 1, word >> 2
                else:
                    data = chain.take((width + 7) // 8)
                    value, step = int.from_bytes(data, "big") >> -width % 8, word >> 1
                index += step
                history.append((times[index], value))
        histories.append(history)
    return histories
