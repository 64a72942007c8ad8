// Counts the transitions of every net of a netlist of gates while it repeats a recorded run.
// Compiled once for all netlists: the gates are data. A net has one value a cycle, that of the
// settled circuit, so there are no glitches.
// usage: toggles GATES RECORDING COMPARED (FIRST CYCLES)...; synth/toggles.py writes GATES, whose
// numbers are, each list after its length: bytes of the recording's header and of a cycle, nets;
// inputs and outputs (net, byte, bit); gates in the order of evaluation (inputs, table, output, the
// nets of the inputs); registers (output, data, initial value); watched (input, outputs after their
// number). Runs once from the beginning, and counts in each stretch of CYCLES cycles from FIRST on;
// stretches may overlap. Outputs are compared from COMPARED on. Prints, stretch by stretch, the
// transitions of each net, and of each watched input those in cycles in which none of its outputs
// moves; or the first difference, and exits 1.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

struct Port { uint32_t net, byte, bit; };
struct Gate { uint64_t table; uint32_t output, first; };
struct Run { uint32_t inputs, first, end; };  // gates one after the other with as many inputs
struct Register { uint32_t output, data; };
struct Watched { uint32_t input, outputs, first; };
struct Stretch {
    uint64_t first, end;
    std::vector<uint64_t> toggles, alone;
    bool has(uint64_t cycle) const { return first <= cycle && cycle < end; }
};

template <uint32_t INPUTS>
static void evaluate(const Gate* gate, const Gate* end, const uint32_t* pins, uint8_t* value) {
    for (; gate != end; ++gate) {
        const uint32_t* pin = pins + gate->first;
        uint32_t place = 0;
        for (uint32_t index = 0; index < INPUTS; ++index) place |= value[pin[index]] << index;
        value[gate->output] = gate->table >> place & 1;
    }
}
static constexpr decltype(&evaluate<0>) EVALUATE[] = {
    evaluate<0>, evaluate<1>, evaluate<2>, evaluate<3>, evaluate<4>, evaluate<5>, evaluate<6>};

int main(int count, char** arguments) {
    std::ifstream gates_file{arguments[1]}, record_file{arguments[2], std::ios::binary};
    const std::string record{std::istreambuf_iterator<char>{record_file}, {}};
    const auto number = [&] {
        uint64_t value = 0;
        if (!(gates_file >> value)) std::exit(2);
        return value;
    };
    const auto argument = [&](int index) { return std::strtoull(arguments[index], nullptr, 10); };
    const uint64_t compared = argument(3);
    std::vector<Stretch> stretches;
    for (int index = 4; index + 1 < count; index += 2)
        stretches.push_back({argument(index), argument(index) + argument(index + 1), {}, {}});
    uint64_t end = 0;
    for (const auto& stretch : stretches) end = std::max(end, stretch.end);

    const uint64_t header = number(), size = number(), nets = number();
    std::vector<Port> inputs(number());
    for (auto& [net, byte, bit] : inputs) { net = number(); byte = number(); bit = number(); }
    std::vector<Port> outputs(number());
    for (auto& [net, byte, bit] : outputs) { net = number(); byte = number(); bit = number(); }
    std::vector<uint8_t> value(nets), before(nets);
    std::vector<uint32_t> pins;
    const auto read_pins = [&](uint64_t count) {
        const uint32_t place = pins.size();
        while (count--) pins.push_back(number());
        return place;
    };
    std::vector<Gate> gates(number());
    std::vector<Run> runs;
    for (uint32_t index = 0; index < gates.size(); ++index) {
        const uint32_t count = number();
        auto& gate = gates[index];
        gate.table = number(); gate.output = number();
        gate.first = read_pins(count);
        if (runs.empty() || runs.back().inputs != count) runs.push_back({count, index, index});
        runs.back().end = index + 1;
    }
    std::vector<Register> registers(number());
    for (auto& [output, data] : registers) {
        output = number(); data = number();
        value[output] = number();
    }
    std::vector<Watched> watched(number());
    for (auto& each : watched) {
        each.input = number(); each.outputs = number();
        each.first = read_pins(each.outputs);
    }
    if (record.size() < header + end * size) return 2;

    for (auto& stretch : stretches) {
        stretch.toggles.resize(nets);
        stretch.alone.resize(watched.size());
    }
    std::vector<uint8_t> moved(nets), still(watched.size()), next(registers.size());
    for (uint64_t cycle = 0; cycle < end; ++cycle) {
        const char* sample = record.data() + header + cycle * size;
        const bool counts = std::any_of(stretches.begin(), stretches.end(),
                                        [&](const auto& each) { return each.has(cycle); });
        if (counts) before = value;
        // The registers take what the last cycle left at their inputs.
        if (cycle != 0) {
            for (size_t index = 0; index < registers.size(); ++index)
                next[index] = value[registers[index].data];
            for (size_t index = 0; index < registers.size(); ++index)
                value[registers[index].output] = next[index];
        }
        for (const auto& [net, byte, bit] : inputs) value[net] = sample[byte] >> bit & 1;
        for (const auto& run : runs)
            EVALUATE[run.inputs](&gates[run.first], &gates[run.end], pins.data(), value.data());
        if (cycle >= compared)
            for (const auto& [net, byte, bit] : outputs)
                if (value[net] != (sample[byte] >> bit & 1)) {
                    std::printf("cycle %llu: an output differs\n", (unsigned long long)cycle);
                    return 1;
                }
        if (!counts || cycle == 0) continue;  // from nothing to the first values
        for (size_t net = 0; net < nets; ++net) moved[net] = value[net] ^ before[net];
        for (size_t index = 0; index < watched.size(); ++index) {
            const auto& each = watched[index];
            still[index] = moved[each.input];
            for (uint32_t output = 0; output < each.outputs; ++output)
                still[index] &= !moved[pins[each.first + output]];
        }
        for (auto& stretch : stretches) {
            if (!stretch.has(cycle)) continue;
            for (size_t net = 0; net < nets; ++net) stretch.toggles[net] += moved[net];
            for (size_t index = 0; index < watched.size(); ++index)
                stretch.alone[index] += still[index];
        }
    }
    for (const auto& stretch : stretches)
        for (const auto& counts : {stretch.toggles, stretch.alone})
            for (const auto each : counts) std::printf("%llu\n", (unsigned long long)each);
    return 0;
}
