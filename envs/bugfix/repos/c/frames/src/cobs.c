#include "cobs.h"

enum { LONGEST = 254 }; /* bytes in a block, without its code */

size_t cobs_bound(size_t count) { return count == 0 ? 1 : count + (count + LONGEST - 1) / LONGEST; }

/* The number of bytes before the next zero or the end, at most `LONGEST`. */
static size_t run_length(const uint8_t *bytes, size_t count) {
    size_t length = 0;
    while (length < count && length < LONGEST && bytes[length] != 0) length++;
    return length;
}

size_t cobs_encode(const uint8_t *bytes, size_t count, uint8_t *out, size_t room) {
    size_t from = 0, to = 0;
    for (;;) {
        size_t run = run_length(bytes + from, count - from);
        if (to + 1 + run > room) return 0;
        out[to++] = (uint8_t)(run + 1);
        for (size_t i = 0; i < run; i++) out[to++] = bytes[from++];
        if (from == count) return to;
        if (run < LONGEST) from++; /* the zero is in the code */
    }
}

ptrdiff_t cobs_decode(const uint8_t *bytes, size_t count, uint8_t *out, size_t room) {
    size_t from = 0, to = 0;
    if (count == 0) return -1;
    while (from < count) {
        size_t run = bytes[from++];
        if (run == 0 || --run > count - from || to + run > room) return -1;
        for (size_t i = 0; i < run; i++) {
            if (bytes[from] == 0) return -1;
            out[to++] = bytes[from++];
        }
        if (run < LONGEST && from < count) {
            if (to == room) return -1;
            out[to++] = 0;
        }
    }
    return (ptrdiff_t)to;
}
