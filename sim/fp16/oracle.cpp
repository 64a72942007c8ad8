// The oracle on columns of operands.
#include "oracle.h"

// Whether there is such an operation. The columns have ``rows`` elements each.
extern "C" bool assay_wanted(
    const SoftFloat* library, int operation, int mode, uint64_t rows, const uint16_t* a,
    const uint16_t* b, const uint16_t* c, uint16_t* results, uint8_t* flags
) {
    *library->rounding_mode = mode;
    return with_operation(operation, [&](auto constant) {
        for (uint64_t row = 0; row < rows; ++row) {
            const uint32_t word = wanted<constant>(*library, a[row], b[row], c[row]);
            results[row] = word;
            flags[row] = word >> FLAG_SHIFT;
        }
    });
}
