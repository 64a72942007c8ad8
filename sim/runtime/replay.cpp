// Replays recorded ports on a verilated netlist and compares every output in every cycle.
// Gates have no initial values, so outputs count from the first clock edge under reset on.
// usage: replay FILE; prints "cycles N comparisons M" or the first difference, and exits 1.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "Vdesign.h"
#include "ports.h"

double sc_time_stamp() { return 0; }

static int refuse(const char* file, const char* reason) {
    std::printf("%s %s\n", file, reason);
    return 1;
}

int main(int, char** arguments) {
    std::ifstream file{arguments[1], std::ios::binary};
    const std::string record{std::istreambuf_iterator<char>{file}, {}};
    const std::string header = ASSAY_HEADER, trailer = ASSAY_TRAILER;
    auto model = std::make_unique<Vdesign>();
#define ASSAY_SIZE(port) +sizeof(model->port)
    const size_t size = 0 ASSAY_INPUTS(ASSAY_SIZE) ASSAY_OUTPUTS(ASSAY_SIZE);
#undef ASSAY_SIZE
    if (record.compare(0, header.size(), header) != 0)
        return refuse(arguments[1], "was not recorded from a circuit with these ports");
    const size_t ends = header.size() + trailer.size();
    if (record.size() < ends || (record.size() - ends) % size != 0
        || record.substr(record.size() - trailer.size()) != trailer)
        return refuse(arguments[1], "is cut off: simulate again");

    const unsigned long cycles = (record.size() - ends) / size;
    const char* sample = record.data() + header.size();
    unsigned long comparisons = 0;
    bool was_reset = false;
    const auto clock = [&](int level) {
        model->clk = level;
        model->eval();
    };
    clock(0);
    for (unsigned long cycle = 0; cycle < cycles; ++cycle) {
#define ASSAY_READ(port) \
    std::memcpy(&model->port, sample, sizeof(model->port)); \
    sample += sizeof(model->port);
        ASSAY_INPUTS(ASSAY_READ)
#undef ASSAY_READ
        model->eval();
#define ASSAY_COMPARE(port) \
    if (was_reset && std::memcmp(&model->port, sample, sizeof(model->port)) != 0) { \
        std::printf("cycle %lu: output " #port " differs\n", cycle); \
        return 1; \
    } \
    comparisons += was_reset; \
    sample += sizeof(model->port);
        ASSAY_OUTPUTS(ASSAY_COMPARE)
#undef ASSAY_COMPARE
        was_reset |= ASSAY_RESET;
        clock(1);
        clock(0);
    }
    std::printf("cycles %lu comparisons %lu\n", cycles, comparisons);
    return 0;
}
