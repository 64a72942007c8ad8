// Compares a sliced circuit with the oracle for whole ranges of pairs of FLOAT16 operands.
#include "oracle.h"

constexpr int WANTED_BITS = FLAG_SHIFT + 5;
constexpr uint32_t OPERANDS = 1 << 16, BLOCK = 64, BLOCKS = OPERANDS / BLOCK;

struct Circuit {
    void (*evaluate)(void* model, uint64_t rows, void* const* columns);
    void* model;
    void* const* columns;  // of all ports, BLOCKS words each; those of the second operand are set
    uint64_t* a[16];
    const uint64_t* outputs[WANTED_BITS];  // null where the circuit has no such bit: it counts as 0
};

struct Mismatch { uint32_t a, b, got, wanted; };

// Bit r of slices[k] becomes bit k of words[r]: two matrices of 32 x 32 bits side by side.
static void transpose(const uint32_t* words, uint64_t* slices) {
    for (int row = 0; row < 32; ++row) slices[row] = words[row] | uint64_t(words[row + 32]) << 32;
    uint64_t mask = 0x0000ffff0000ffff;
    for (int step = 16; step; step >>= 1, mask ^= mask << step)
        for (int row = 0; row < 32; row = (row + step + 1) & ~step) {
            const uint64_t moved = (slices[row] >> step ^ slices[row + step]) & mask;
            slices[row] ^= moved << step;
            slices[row + step] ^= moved;
        }
}

// All pairs with first <= a < end; ends early behind an a that has mismatches, whose number goes to
// ``mismatches``, and the first ``capacity`` of them to ``examples``. Returns the pairs compared.
extern "C" uint64_t assay_sweep(
    const SoftFloat* library, const Circuit* circuit, int operation, int mode, uint32_t first,
    uint32_t end, uint64_t* mismatches, Mismatch* examples, uint64_t capacity
) {
    static uint32_t words[OPERANDS];
    *mismatches = 0;
    *library->rounding_mode = mode;
    uint64_t compared = 0;
    with_operation(operation, [&](auto constant) {
        for (uint32_t a = first; a < end && !*mismatches; ++a) {
            for (int bit = 0; bit < 16; ++bit)
                for (uint32_t block = 0; block < BLOCKS; ++block)
                    circuit->a[bit][block] = -uint64_t(a >> bit & 1);
            circuit->evaluate(circuit->model, BLOCKS, circuit->columns);
            for (uint32_t b = 0; b < OPERANDS; ++b) words[b] = wanted<constant>(*library, a, b, 0);
            for (uint32_t block = 0; block < BLOCKS; ++block) {
                uint64_t slices[32], got[WANTED_BITS], differs = 0;
                transpose(words + block * BLOCK, slices);
                for (int bit = 0; bit < WANTED_BITS; ++bit) {
                    got[bit] = circuit->outputs[bit] ? circuit->outputs[bit][block] : 0;
                    differs |= got[bit] ^ slices[bit];
                }
                for (uint32_t row = 0; differs; ++row, differs >>= 1) {
                    if (!(differs & 1)) continue;
                    if (*mismatches < capacity) {
                        Mismatch& example = examples[*mismatches];
                        const uint32_t b = block * BLOCK + row;
                        example = {a, b, 0, words[b]};
                        for (int bit = 0; bit < WANTED_BITS; ++bit)
                            example.got |= uint32_t(got[bit] >> row & 1) << bit;
                    }
                    ++*mismatches;
                }
            }
            compared += OPERANDS;
        }
    });
    return compared;
}
