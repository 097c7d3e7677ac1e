/* Consistent overhead byte stuffing: bytes without a zero among them, at most one more for every 254. */
#ifndef COBS_H
#define COBS_H

#include <stddef.h>
#include <stdint.h>

/** The most bytes that `count` bytes can become. */
size_t cobs_bound(size_t count);

/** Stuff `count` bytes into `out`; returns how many it became, or 0 where `room` is too small. Of no bytes it is one. */
size_t cobs_encode(const uint8_t *bytes, size_t count, uint8_t *out, size_t room);

/** The inverse: returns how many bytes there are in `out`, or -1 where `bytes` are no stuffed bytes (none at all, a zero,
 * or a block that is cut short) or `room` is too small. */
ptrdiff_t cobs_decode(const uint8_t *bytes, size_t count, uint8_t *out, size_t room);

#endif
