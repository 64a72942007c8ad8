// Replays recorded ports on a verilated netlist and compares every output in every cycle.
// Gates have no initial values, so outputs count from the first clock edge under reset on.
// usage: replay FILE; prints "cycles N comparisons M" or the first difference, and exits 1.
#include <cstdio>
#include <cstring>
#include <memory>

#include "Vdesign.h"
#include "ports.h"

double sc_time_stamp() { return 0; }

int main(int, char** arguments) {
    FILE* record = std::fopen(arguments[1], "rb");
    char header[sizeof(ASSAY_HEADER)] = {};
    if (!record || std::fread(header, sizeof(header) - 1, 1, record) != 1
        || std::strcmp(header, ASSAY_HEADER) != 0) {
        std::printf("%s was not recorded from a circuit with these ports\n", arguments[1]);
        return 1;
    }
    auto model = std::make_unique<Vdesign>();
    unsigned long cycle = 0, comparisons = 0;
    bool was_reset = false;
    const auto clock = [&](int level) {
        model->clk = level;
        model->eval();
    };
    clock(0);
    for (;; ++cycle) {
#define ASSAY_READ(port) \
    if (std::fread(&model->port, sizeof(model->port), 1, record) != 1) break;
        ASSAY_INPUTS(ASSAY_READ)
#undef ASSAY_READ
        model->eval();
#define ASSAY_COMPARE(port) \
    { \
        auto expected = model->port; \
        if (std::fread(&expected, sizeof(expected), 1, record) != 1) break; \
        if (was_reset && std::memcmp(&expected, &model->port, sizeof(expected)) != 0) { \
            std::printf("cycle %lu: output " #port " differs\n", cycle); \
            return 1; \
        } \
        comparisons += was_reset; \
    }
        ASSAY_OUTPUTS(ASSAY_COMPARE)
#undef ASSAY_COMPARE
        was_reset |= ASSAY_RESET;
        clock(1);
        clock(0);
    }
    std::printf("cycles %lu comparisons %lu\n", cycle, comparisons);
    return 0;
}
