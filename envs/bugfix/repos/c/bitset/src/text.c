#include "bitset_text.h"

#include <stdio.h>

/* Where the run ends that `start` is in, out of the set or in it. */
static size_t run_end(const bitset *self, size_t start) {
    ptrdiff_t end = bitset_has(self, start) ? bitset_next_gap(self, start) : bitset_next(self, start);
    return end < 0 ? self->size : (size_t)end;
}

size_t bitset_print(const bitset *self, char *out, size_t room) {
    size_t length = 0;
    if (room > 0) out[0] = '\0';
    for (ptrdiff_t low = bitset_next(self, 0); low >= 0;) {
        size_t end = run_end(self, (size_t)low);
        char item[64];
        const char *comma = length > 0 ? "," : "";
        int count = end - (size_t)low == 1 ? snprintf(item, sizeof item, "%s%td", comma, low)
                                           : snprintf(item, sizeof item, "%s%td-%zu", comma, low, end - 1);
        if (length < room) snprintf(out + length, room - length, "%s", item);
        length += (size_t)count;
        low = bitset_next(self, end);
    }
    return length;
}

/* Read digits; false where there are none or the number is not below `limit`. */
static bool number(const char **text, size_t limit, size_t *value) {
    const char *at = *text;
    *value = 0;
    while ('0' <= *at && *at <= '9') {
        *value = *value * 10 + (size_t)(*at++ - '0');
        if (*value >= limit) return false;
    }
    bool some = at > *text;
    *text = at;
    return some;
}

bool bitset_parse(bitset *self, const char *text) {
    bitset result = *self;
    if (*text == '\0') return true;
    for (;;) {
        size_t low, high;
        if (!number(&text, self->size, &low)) return false;
        high = low;
        if (*text == '-') {
            text++;
            if (!number(&text, self->size, &high) || high < low) return false;
        }
        bitset_put_range(&result, low, high + 1, true);
        if (*text == '\0') break;
        if (*text++ != ',') return false;
    }
    *self = result;
    return true;
}

size_t bitset_pack(const bitset *self, uint8_t *out, size_t room) {
    size_t written = 0;
    bool in = false;
    for (size_t at = 0; at < self->size; in = !in) {
        size_t end = bitset_has(self, at) == in ? run_end(self, at) : at;
        size_t run = end - at < 255 ? end - at : 255;
        if (written == room) return 0;
        out[written++] = (uint8_t)run;
        at += run;
    }
    return written;
}

bool bitset_unpack(bitset *self, const uint8_t *bytes, size_t count) {
    bitset result = bitset_new(self->size);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] > self->size - at) return false;
        bitset_put_range(&result, at, at + bytes[i], i % 2 == 1);
        at += bytes[i];
    }
    if (at != self->size) return false;
    *self = result;
    return true;
}
