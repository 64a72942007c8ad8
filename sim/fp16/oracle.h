// What an operation on FLOAT16 must give, by SoftFloat and by definitions: nothing here is taken
// from the circuits. A wanted word is the result with the flags, in RISC-V's order, above it.
#pragma once
#include <cstdint>
#include <type_traits>

constexpr int FLAG_SHIFT = 16;
constexpr uint32_t INVALID = 16u << FLAG_SHIFT;
constexpr uint16_t SIGN = 0x8000, INFINITE = 0x7c00, QUIET = 0x0200, ONE = 0x3c00, NOT_A_NUMBER = 0x7e00;

// Operations as hdl/fp16/operation.py numbers them.
enum Operation : int {
    ADD, SUB, MUL, FMADD, FMSUB, FNMSUB, FNMADD,
    EQ = 8, NE, LT, LE, GT, GE, MIN, MAX, SGNJ, SGNJN, SGNJX
};

// Functions and variables of the SoftFloat library, whose f16 and f32 are words of such sizes.
struct SoftFloat {
    uint16_t (*mul)(uint16_t, uint16_t);
    uint16_t (*mul_add)(uint16_t, uint16_t, uint16_t);
    uint32_t (*widen)(uint16_t);
    bool (*eq)(uint32_t, uint32_t);
    bool (*lt)(uint32_t, uint32_t);
    bool (*le)(uint32_t, uint32_t);
    uint8_t* rounding_mode;
    uint8_t* flags;
};

inline bool is_nan(uint16_t x) { return (x & 0x7fff) > INFINITE; }
inline bool is_signalling(uint16_t x) { return is_nan(x) && !(x & QUIET); }

// The number in units of 2^-24, the smallest subnormal; infinities as the next number would be.
inline int64_t value_of(uint16_t x) {
    const int exponent = x >> 10 & 31, fraction = x & 0x3ff;
    const int64_t magnitude = exponent ? int64_t(0x400 + fraction) << (exponent - 1) : fraction;
    return x & SIGN ? -magnitude : magnitude;
}

// minimumNumber of IEEE 754-2019, or maximumNumber: a number rather than a NaN, -0 below +0.
inline uint32_t extreme(uint16_t a, uint16_t b, bool maximum) {
    const uint32_t flags = is_signalling(a) || is_signalling(b) ? INVALID : 0;
    if (is_nan(a) && is_nan(b)) return NOT_A_NUMBER | flags;
    if (is_nan(a)) return b | flags;
    if (is_nan(b)) return a | flags;
    const int64_t x = value_of(a), y = value_of(b);
    const bool a_is_less = x != y ? x < y : (a & SIGN) != 0;
    return (a_is_less != maximum ? a : b) | flags;
}

// SoftFloat keeps the payload of a NaN; the circuits return the canonical one.
inline uint32_t canonical(uint16_t x) { return is_nan(x) ? NOT_A_NUMBER : x; }

// The rounding mode must be set before.
template <int operation>
inline uint32_t wanted(const SoftFloat& library, uint16_t a, uint16_t b, uint16_t c) {
    if constexpr (operation == MIN || operation == MAX) return extreme(a, b, operation == MAX);
    if constexpr (operation == SGNJ) return (a & ~SIGN) | (b & SIGN);
    if constexpr (operation == SGNJN) return (a & ~SIGN) | (~b & SIGN);
    if constexpr (operation == SGNJX) return a ^ (b & SIGN);
    *library.flags = 0;
    uint32_t result = 0;
    // This SoftFloat has flaws, of shifts that are not cut to 16 bits, which are gone around here:
    // f16_add forgets OF (fbff + 9d1f in RDN gives fc00 with NX only), so sums are a * 1 + b; and
    // f16_eq, f16_lt, f16_le tell -0 from +0, so f32 is compared. A signalling NaN is invalid to
    // widen as well.
    if constexpr (operation == ADD) result = canonical(library.mul_add(a, ONE, b));
    if constexpr (operation == SUB) result = canonical(library.mul_add(a, ONE, b ^ SIGN));
    if constexpr (operation == MUL) result = canonical(library.mul(a, b));
    if constexpr (operation == FMADD) result = canonical(library.mul_add(a, b, c));
    if constexpr (operation == FMSUB) result = canonical(library.mul_add(a, b, c ^ SIGN));
    if constexpr (operation == FNMSUB) result = canonical(library.mul_add(a ^ SIGN, b, c));
    if constexpr (operation == FNMADD) result = canonical(library.mul_add(a ^ SIGN, b, c ^ SIGN));
    const auto wide = [&](uint16_t x) { return library.widen(x); };
    if constexpr (operation == EQ) result = library.eq(wide(a), wide(b));
    if constexpr (operation == NE) result = !library.eq(wide(a), wide(b));
    if constexpr (operation == LT) result = library.lt(wide(a), wide(b));
    if constexpr (operation == LE) result = library.le(wide(a), wide(b));
    if constexpr (operation == GT) result = library.lt(wide(b), wide(a));
    if constexpr (operation == GE) result = library.le(wide(b), wide(a));
    return result | uint32_t(*library.flags) << FLAG_SHIFT;
}

// Calls action(std::integral_constant<int, operation>) or returns false if there is no such one.
template <class Action>
bool with_operation(int operation, Action action) {
    switch (operation) {
#define CASE(name) case name: action(std::integral_constant<int, name>{}); return true;
        CASE(ADD) CASE(SUB) CASE(MUL) CASE(FMADD) CASE(FMSUB) CASE(FNMSUB) CASE(FNMADD)
        CASE(EQ) CASE(NE) CASE(LT) CASE(LE) CASE(GT) CASE(GE) CASE(MIN) CASE(MAX)
        CASE(SGNJ) CASE(SGNJN) CASE(SGNJX)
#undef CASE
        default: return false;
    }
}
