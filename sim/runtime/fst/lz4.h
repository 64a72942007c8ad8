// The part of LZ4's interface that Verilator's FST writer calls, so that waves need no library.
// Contract: LZ4_compress_default writes a valid LZ4 block, which any LZ4 decoder accepts, of
// literals only. It does not compress: the block is the input behind a length of 1 byte plus one
// per 255 bytes. The writer takes it for the hierarchy; for value changes it keeps the input
// instead whenever the block is not smaller, so always.
#pragma once
#include <cstring>

constexpr int LZ4_MAX_INPUT_SIZE = 0x7E000000;

// Size that always suffices for a block, or 0 for an input that LZ4 does not take.
static inline int LZ4_compressBound(int size) {
    return size < 0 || size > LZ4_MAX_INPUT_SIZE ? 0 : size + size / 255 + 16;
}

// Returns the size of the block, or 0 if there is no room for it.
static inline int LZ4_compress_default(const char* from, char* to, int size, int room) {
    // One sequence, which as the last of its block has neither an offset nor a match. Its token
    // has the length of the literals in its upper half; from 15 on, bytes add what is missing, of
    // which the first below 255 is the last.
    if (size < 0 || size > LZ4_MAX_INPUT_SIZE) return 0;
    const int length_bytes = size < 15 ? 0 : 1 + (size - 15) / 255;
    if (room < 1 + length_bytes || room - 1 - length_bytes < size) return 0;
    char* end = to;
    *end++ = static_cast<char>((size < 15 ? size : 15) << 4);
    if (size >= 15) {
        int missing = size - 15;
        for (; missing >= 255; missing -= 255) *end++ = static_cast<char>(255);
        *end++ = static_cast<char>(missing);
    }
    if (size) std::memcpy(end, from, size);  // an empty input may be a null pointer
    return static_cast<int>(end - to) + size;
}
