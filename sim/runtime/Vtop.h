// What cocotb's main program sees instead of the design: it is compiled once for all designs,
// because no design shows in this interface. design.cpp implements it around the real model.
#pragma once
#include <cstdint>
#include <memory>

#include "verilated.h"

class Vtop {
  public:
    explicit Vtop(const char* name);
    ~Vtop();
    void eval_step();
    void eval_end_step();
    bool eventsPending();
    uint64_t nextTimeSlot();
    void trace(VerilatedTraceBaseC* file, int levels, int options = 0);
    void final();

  private:
    struct Design;
    std::unique_ptr<Design> design;
};
