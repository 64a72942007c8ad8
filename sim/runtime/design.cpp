// Wraps one verilated design for cocotb's main program and, if ASSAY_RECORD names a file, writes
// all ports to it just before each rising clock edge: the stimulus for replaying a netlist.
#include <cstdio>
#include <cstdlib>

#include "Vdesign.h"
#include "Vtop.h"
#include "ports.h"

struct Vtop::Design {
    Vdesign model;
    FILE* record = nullptr;
    CData clock_before = 0;

    explicit Design(const char* name) : model{name} {
        if (const char* file = std::getenv("ASSAY_RECORD")) {
            record = std::fopen(file, "wb");
            if (!record) VL_FATAL_MT(__FILE__, __LINE__, "", "cannot write ASSAY_RECORD");
            std::fputs(ASSAY_HEADER, record);
        }
    }
    ~Design() {
        if (!record) return;
        std::fputs(ASSAY_TRAILER, record);
        std::fclose(record);
    }
    void sample() {
#define ASSAY_WRITE(port) std::fwrite(&model.port, sizeof(model.port), 1, record);
        ASSAY_INPUTS(ASSAY_WRITE)
        ASSAY_OUTPUTS(ASSAY_WRITE)
#undef ASSAY_WRITE
    }
    void eval_step() {
        if (record && model.clk && !clock_before) sample();
        clock_before = model.clk;
        model.eval_step();
    }
};

Vtop::Vtop(const char* name) : design{new Design{name}} {}
Vtop::~Vtop() = default;
void Vtop::eval_step() { design->eval_step(); }
void Vtop::eval_end_step() { design->model.eval_end_step(); }
bool Vtop::eventsPending() { return design->model.eventsPending(); }
uint64_t Vtop::nextTimeSlot() { return design->model.nextTimeSlot(); }
void Vtop::trace(VerilatedTraceBaseC* file, int levels, int options) {
    design->model.trace(file, levels, options);
}
void Vtop::final() { design->model.final(); }
