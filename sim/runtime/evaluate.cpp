// Makes a combinational circuit a function on columns of values, one column for each port.
#include <cstdint>
#include <type_traits>

#include "Vdesign.h"
#include "ports.h"

double sc_time_stamp() { return 0; }

#define ASSAY_EXPORT extern "C" __attribute__((visibility("default")))

ASSAY_EXPORT Vdesign* assay_create() { return new Vdesign; }
ASSAY_EXPORT void assay_destroy(Vdesign* model) { delete model; }

// columns: of the inputs, then of the outputs, in the order of ports.h, with the port's own type.
ASSAY_EXPORT void assay_evaluate(Vdesign* model, uint64_t rows, void* const* columns) {
#define ASSAY_COLUMN(port) \
    const auto of_##port = static_cast<std::remove_reference_t<decltype(Vdesign::port)>*>(*columns++);
    ASSAY_INPUTS(ASSAY_COLUMN)
    ASSAY_OUTPUTS(ASSAY_COLUMN)
#undef ASSAY_COLUMN
    for (uint64_t row = 0; row < rows; ++row) {
#define ASSAY_READ(port) model->port = of_##port[row];
        ASSAY_INPUTS(ASSAY_READ)
#undef ASSAY_READ
        model->eval();
#define ASSAY_WRITE(port) of_##port[row] = model->port;
        ASSAY_OUTPUTS(ASSAY_WRITE)
#undef ASSAY_WRITE
    }
}
