/* Sets of the numbers 0 to size - 1. Unless said otherwise, sets that are combined must have one size. */
#ifndef BITSET_H
#define BITSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BITSET_MAX = 1024, BITSET_WORD = 64 };

typedef struct {
    size_t size;
    uint64_t words[BITSET_MAX / BITSET_WORD]; /* bits from `size` on are 0 */
} bitset;

/** An empty set of numbers below `size`, which is cut to BITSET_MAX. */
bitset bitset_new(size_t size);

/** Whether a number is in the set; false for one that is not below the size. */
bool bitset_has(const bitset *self, size_t n);

/** Put a number in or take it out; false, and nothing happens, for one that is not below the size. */
bool bitset_put(bitset *self, size_t n, bool in);

/** Put the numbers from `low` up to but not including `high` in or take them out; the range is cut to the size. */
void bitset_put_range(bitset *self, size_t low, size_t high, bool in);

/** How many numbers are in the set. */
size_t bitset_count(const bitset *self);

/** The least number in the set that is `from` or more, or -1. */
ptrdiff_t bitset_next(const bitset *self, size_t from);

/** The least number below the size and not in the set that is `from` or more, or -1. */
ptrdiff_t bitset_next_gap(const bitset *self, size_t from);

/** The greatest number in the set that is `from` or less, or -1. */
ptrdiff_t bitset_last(const bitset *self, size_t from);

/** How many numbers below `n` are in the set. */
size_t bitset_rank(const bitset *self, size_t n);

/** The number that has `rank` numbers of the set below it, or -1. */
ptrdiff_t bitset_select(const bitset *self, size_t rank);

/** Change a set to what is in both, in either, in this one alone, or in one of both alone. */
void bitset_and(bitset *self, const bitset *other);
void bitset_or(bitset *self, const bitset *other);
void bitset_minus(bitset *self, const bitset *other);
void bitset_xor(bitset *self, const bitset *other);

/** Change a set to all the numbers below its size that were not in it. */
void bitset_flip(bitset *self);

/** Move all numbers up by `by`, or down where it is negative; those that leave 0 to size - 1 are gone. */
void bitset_shift(bitset *self, ptrdiff_t by);

bool bitset_equal(const bitset *self, const bitset *other);

/** Whether everything in this set is in the other one. */
bool bitset_within(const bitset *self, const bitset *other);

/** The start of the first `length` numbers in a row that are not in the set, or -1. */
ptrdiff_t bitset_find_gap(const bitset *self, size_t length);

#endif
