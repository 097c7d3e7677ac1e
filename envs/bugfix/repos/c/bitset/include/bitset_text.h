/* Text and run-length forms of bit sets. */
#ifndef BITSET_TEXT_H
#define BITSET_TEXT_H

#include "bitset.h"

/** Print a set as "0-3,7" into `out`, with a zero at the end; returns the length without it. What does not fit into `room`
 * is cut off, but counts. The empty set is "". */
size_t bitset_print(const bitset *self, char *out, size_t room);

/** Add the numbers of such a text to a set; false for text that is none, or a number that is not below the size, and then
 * the set stays as it was. Ranges may come in any order and overlap. */
bool bitset_parse(bitset *self, const char *text);

/** Pack a set as run lengths: numbers that are out, that are in, that are out ..., up to the size; runs over 255 are
 * continued after a run of 0. Returns how many bytes, or 0 where `room` is too small (or the size is 0). */
size_t bitset_pack(const bitset *self, uint8_t *out, size_t room);

/** The inverse, into a set of the right size; false where the runs do not add up to the size. */
bool bitset_unpack(bitset *self, const uint8_t *bytes, size_t count);

#endif
