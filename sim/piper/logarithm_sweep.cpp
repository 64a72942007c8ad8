// Compares a sliced circuit of Logarithm with the library's logarithm on whole ranges of inputs.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

constexpr int WORD = 32, SLICE = 64;
constexpr uint64_t BLOCKS = 64, ROWS = BLOCKS * SLICE;
constexpr uint64_t NEGATIVE = 1ull << 31;  // inputs from here on are negative numbers
constexpr int FRACTION_BITS = 23;
// How far, in its own last places, a double's logarithm may be off. Libraries promise 1 to 4.
constexpr int LOG_ERROR = 8;

struct Circuit {
    void (*evaluate)(void* model, uint64_t rows, void* const* columns);
    void* model;
    void* const* columns;         // of all ports, BLOCKS words each
    uint64_t* value[WORD];        // those of each bit
    const uint64_t* result[WORD];
};

// As class Found of exhaustive.py. inputs: those compared. distance[n]: results n ULP from the
// nearest float32, the last those further away. worst: error of the exact value, in ULP.
struct Found {
    uint64_t inputs, distance[3], doubtful;
    double worst;
    uint32_t worst_input;
};

// Bit k of words[r] becomes what was bit r of slices[k]: two matrices of 32 x 32 bits side by side.
static void transpose(uint64_t* slices, uint32_t* words) {
    uint64_t mask = 0x0000ffff0000ffff;
    for (int step = 16; step; step >>= 1, mask ^= mask << step)
        for (int row = 0; row < WORD; row = (row + step + 1) & ~step) {
            const uint64_t moved = (slices[row] >> step ^ slices[row + step]) & mask;
            slices[row] ^= moved << step;
            slices[row + step] ^= moved;
        }
    for (int row = 0; row < WORD; ++row) {
        words[row] = uint32_t(slices[row]);
        words[row + WORD] = uint32_t(slices[row] >> WORD);
    }
}

static uint32_t bits_of(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

// The inputs from ``first`` to ``end``, multiples of ROWS. The first ``capacity`` of those that are
// wrong go to ``wrong``; those for which a double is too short to tell the nearest float32, and
// what the circuit gave for them, to ``doubts`` and ``given``, and are compared by the caller.
extern "C" void assay_logarithm(
    const Circuit* circuit, uint64_t first, uint64_t end, Found* found, uint32_t* wrong,
    uint32_t* doubts, uint32_t* given, uint64_t capacity
) {
    *found = {};
    const auto count = [&](uint32_t input, uint64_t distance) {
        ++found->inputs;
        if (distance > 1 && found->distance[2] < capacity) wrong[found->distance[2]] = input;
        ++found->distance[std::min<uint64_t>(distance, 2)];
    };
    for (uint64_t base = first; base < end; base += ROWS) {
        for (int bit = 0; bit < WORD; ++bit)
            for (uint64_t block = 0; block < BLOCKS; ++block) {
                uint64_t slice = -(base + block * SLICE >> bit & 1);
                if (bit < 6)
                    for (uint64_t row = 0; row < SLICE; ++row) slice |= (row >> bit & 1) << row;
                circuit->value[bit][block] = slice;
            }
        circuit->evaluate(circuit->model, BLOCKS, circuit->columns);
        for (uint64_t block = 0; block < BLOCKS; ++block) {
            uint64_t slices[WORD];
            uint32_t words[SLICE];
            for (int bit = 0; bit < WORD; ++bit) slices[bit] = circuit->result[bit][block];
            transpose(slices, words);
            for (uint64_t row = 0; row < SLICE; ++row) {
                const uint64_t input = base + block * SLICE + row;
                const uint32_t got = words[row];
                if (input == 0 || input >= NEGATIVE) {
                    count(uint32_t(input), got == 0 ? 0 : 2);
                    continue;
                }
                const double exact = std::log(double(input + 1));
                const float nearest = float(exact);
                int exponent;
                std::frexp(exact, &exponent);
                const double unit = std::ldexp(1.0, exponent - 1 - FRACTION_BITS);
                float result;
                std::memcpy(&result, &got, sizeof result);
                const double error = std::fabs(result - exact) / unit;
                if (!(error <= found->worst)) {
                    found->worst = error;
                    found->worst_input = uint32_t(input);
                }
                const double from_middle = std::fabs(std::fabs(exact - nearest) / unit - 0.5);
                if (from_middle <= std::ldexp(LOG_ERROR, FRACTION_BITS - 52)) {
                    if (found->doubtful < capacity) {
                        doubts[found->doubtful] = uint32_t(input);
                        given[found->doubtful] = got;
                    }
                    ++found->doubtful;
                    continue;
                }
                const int64_t distance = int64_t(got) - int64_t(bits_of(nearest));
                count(uint32_t(input), uint64_t(std::llabs(distance)));
            }
        }
    }
}
