#include "bitset.h"

#include <string.h>

static size_t words(const bitset *self) { return (self->size + BITSET_WORD - 1) / BITSET_WORD; }

/* The bits of a word from `bit` on. */
static uint64_t from_bit(size_t bit) { return ~UINT64_C(0) << bit; }

/* The bits of a word below `bit`, which is at most 64. */
static uint64_t below_bit(size_t bit) { return bit == BITSET_WORD ? ~UINT64_C(0) : ~from_bit(bit); }

static void trim(bitset *self) {
    size_t used = self->size % BITSET_WORD;
    if (used > 0) self->words[self->size / BITSET_WORD] &= below_bit(used);
}

bitset bitset_new(size_t size) {
    bitset made;
    memset(&made, 0, sizeof made);
    made.size = size < BITSET_MAX ? size : BITSET_MAX;
    return made;
}

bool bitset_has(const bitset *self, size_t n) {
    return n < self->size && (self->words[n / BITSET_WORD] >> n % BITSET_WORD & 1) != 0;
}

bool bitset_put(bitset *self, size_t n, bool in) {
    if (n >= self->size) return false;
    bitset_put_range(self, n, n + 1, in);
    return true;
}

void bitset_put_range(bitset *self, size_t low, size_t high, bool in) {
    if (high > self->size) high = self->size;
    while (low < high) {
        size_t word = low / BITSET_WORD, start = word * BITSET_WORD;
        size_t end = high - start < BITSET_WORD ? high - start : BITSET_WORD;
        uint64_t mask = from_bit(low - start) & below_bit(end);
        if (in) {
            self->words[word] |= mask;
        } else {
            self->words[word] &= ~mask;
        }
        low = start + end;
    }
}

static size_t ones(uint64_t word) { return (size_t)__builtin_popcountll(word); }

size_t bitset_count(const bitset *self) { return bitset_rank(self, self->size); }

size_t bitset_rank(const bitset *self, size_t n) {
    if (n > self->size) n = self->size;
    size_t rank = 0;
    for (size_t i = 0; i < n / BITSET_WORD; i++) rank += ones(self->words[i]);
    if (n % BITSET_WORD > 0) rank += ones(self->words[n / BITSET_WORD] & below_bit(n % BITSET_WORD));
    return rank;
}

ptrdiff_t bitset_next(const bitset *self, size_t from) {
    if (from >= self->size) return -1;
    size_t i = from / BITSET_WORD;
    uint64_t word = self->words[i] & from_bit(from % BITSET_WORD);
    while (word == 0) {
        if (++i == words(self)) return -1;
        word = self->words[i];
    }
    return (ptrdiff_t)(i * BITSET_WORD) + __builtin_ctzll(word);
}

ptrdiff_t bitset_next_gap(const bitset *self, size_t from) {
    bitset gaps = *self;
    bitset_flip(&gaps);
    return bitset_next(&gaps, from);
}

ptrdiff_t bitset_last(const bitset *self, size_t from) {
    if (self->size == 0) return -1;
    if (from >= self->size) from = self->size - 1;
    size_t i = from / BITSET_WORD;
    uint64_t word = self->words[i] & below_bit(from % BITSET_WORD + 1);
    while (word == 0) {
        if (i-- == 0) return -1;
        word = self->words[i];
    }
    return (ptrdiff_t)(i * BITSET_WORD) + (BITSET_WORD - 1 - __builtin_clzll(word));
}

ptrdiff_t bitset_select(const bitset *self, size_t rank) {
    for (size_t i = 0; i < words(self); i++) {
        uint64_t word = self->words[i];
        if (rank >= ones(word)) {
            rank -= ones(word);
            continue;
        }
        while (rank-- > 0) word &= word - 1; /* takes the lowest bit out */
        return (ptrdiff_t)(i * BITSET_WORD) + __builtin_ctzll(word);
    }
    return -1;
}

void bitset_and(bitset *self, const bitset *other) {
    for (size_t i = 0; i < words(self); i++) self->words[i] &= other->words[i];
}

void bitset_or(bitset *self, const bitset *other) {
    for (size_t i = 0; i < words(self); i++) self->words[i] |= other->words[i];
}

void bitset_minus(bitset *self, const bitset *other) {
    for (size_t i = 0; i < words(self); i++) self->words[i] &= ~other->words[i];
}

void bitset_xor(bitset *self, const bitset *other) {
    for (size_t i = 0; i < words(self); i++) self->words[i] ^= other->words[i];
}

void bitset_flip(bitset *self) {
    for (size_t i = 0; i < words(self); i++) self->words[i] = ~self->words[i];
    trim(self);
}

void bitset_shift(bitset *self, ptrdiff_t by) {
    bitset moved = bitset_new(self->size);
    for (ptrdiff_t n = bitset_next(self, 0); n >= 0; n = bitset_next(self, (size_t)n + 1)) {
        if (n + by >= 0) bitset_put(&moved, (size_t)(n + by), true);
    }
    *self = moved;
}

bool bitset_equal(const bitset *self, const bitset *other) {
    return self->size == other->size && bitset_within(self, other) && bitset_within(other, self);
}

bool bitset_within(const bitset *self, const bitset *other) {
    bitset rest = *self;
    bitset_minus(&rest, other);
    return bitset_next(&rest, 0) < 0;
}

ptrdiff_t bitset_find_gap(const bitset *self, size_t length) {
    ptrdiff_t start = bitset_next_gap(self, 0);
    while (start >= 0) {
        ptrdiff_t end = bitset_next(self, (size_t)start);
        if (end < 0) end = (ptrdiff_t)self->size;
        if ((size_t)(end - start) >= length) return start;
        start = bitset_next_gap(self, (size_t)end);
    }
    return -1;
}
