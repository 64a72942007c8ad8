// The part of zlib's interface that Verilator's FST writer calls, so that waves need no library.
// Contract: compress2 writes a valid zlib stream (RFC 1950), which any inflater accepts, of stored
// blocks (RFC 1951, 3.2.4). It does not compress, whatever the level: the stream is the input plus
// 6 bytes and 5 per block of at most 65535. The writer keeps the input instead whenever the stream
// is not smaller, so always; the stream is valid all the same, so that nothing hangs on that.
#pragma once
#include <cstdint>
#include <cstring>

using Bytef = unsigned char;
using uLong = unsigned long;
using uLongf = unsigned long;

constexpr int Z_OK = 0;
constexpr int Z_BUF_ERROR = -5;

// Exact size of the stream for ``size`` bytes; even an empty input needs one block.
static inline uLong compressBound(uLong size) {
    return 6 + size + 5 * (size ? (size + 65534) / 65535 : 1);
}

// ``room`` is the space at ``to`` and becomes the size of the stream.
static inline int compress2(Bytef* to, uLongf* room, const Bytef* from, uLong size, int /*level*/) {
    if (*room < compressBound(size)) return Z_BUF_ERROR;
    Bytef* end = to;
    *end++ = 0x78;  // deflate with a window of 32 KiB
    *end++ = 0x01;  // lowest level; completes a multiple of 31, as the header must be
    uint32_t low = 1, high = 0;  // the two sums of Adler-32
    uLong left = size;
    do {
        const unsigned block = left < 65535 ? static_cast<unsigned>(left) : 65535;
        left -= block;
        *end++ = left ? 0 : 1;  // stored; 1 marks the last block
        for (const unsigned half : {block, ~block}) {
            *end++ = half & 255;
            *end++ = half >> 8 & 255;
        }
        for (unsigned i = 0; i < block; ++i) {
            low = (low + (end[i] = *from++)) % 65521;
            high = (high + low) % 65521;
        }
        end += block;
    } while (left);
    for (const uint32_t sum : {high, low}) {
        *end++ = sum >> 8;
        *end++ = sum & 255;
    }
    *room = static_cast<uLongf>(end - to);
    return Z_OK;
}
