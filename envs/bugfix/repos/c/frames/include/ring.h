/* A queue of bytes in a fixed memory. */
#ifndef RING_H
#define RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t *memory;
    size_t capacity;
    size_t start; /* index of the oldest byte */
    size_t length;
} ring;

/** An empty ring over the caller's memory; it holds up to `capacity` bytes. */
void ring_init(ring *self, uint8_t *memory, size_t capacity);

/** How many more bytes fit. */
size_t ring_room(const ring *self);

/** Append up to `count` bytes; returns how many fitted. */
size_t ring_write(ring *self, const uint8_t *bytes, size_t count);

/** Take up to `count` of the oldest bytes out into `bytes` (NULL: throw them away); returns how many there were. */
size_t ring_read(ring *self, uint8_t *bytes, size_t count);

/** The byte at `index`, 0 being the oldest, or -1 past the end. Nothing is taken out. */
int ring_peek(const ring *self, size_t index);

/** The index of the first `byte` at or after `from`, or -1. */
ptrdiff_t ring_find(const ring *self, uint8_t byte, size_t from);

/** Throw away the oldest bytes so that at least `room` fit, or everything where `room` is beyond the capacity; returns how
 * many went. */
size_t ring_make_room(ring *self, size_t room);

#endif
