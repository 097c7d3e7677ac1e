#include "ring.h"

#include <string.h>

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

void ring_init(ring *self, uint8_t *memory, size_t capacity) {
    self->memory = memory;
    self->capacity = capacity;
    self->start = 0;
    self->length = 0;
}

size_t ring_room(const ring *self) { return self->capacity - self->length; }

size_t ring_write(ring *self, const uint8_t *bytes, size_t count) {
    count = smaller(count, ring_room(self));
    if (count == 0) return 0;
    size_t at = (self->start + self->length) % self->capacity;
    size_t head = smaller(count, self->capacity - at);
    memcpy(self->memory + at, bytes, head);
    memcpy(self->memory, bytes + head, count - head);
    self->length += count;
    return count;
}

size_t ring_read(ring *self, uint8_t *bytes, size_t count) {
    count = smaller(count, self->length);
    if (count == 0) return 0;
    if (bytes != NULL) {
        size_t head = smaller(count, self->capacity - self->start);
        memcpy(bytes, self->memory + self->start, head);
        memcpy(bytes + head, self->memory, count - head);
    }
    self->start = (self->start + count) % self->capacity;
    self->length -= count;
    return count;
}

int ring_peek(const ring *self, size_t index) {
    if (index >= self->length) return -1;
    return self->memory[(self->start + index) % self->capacity];
}

ptrdiff_t ring_find(const ring *self, uint8_t byte, size_t from) {
    for (size_t index = from; index < self->length; index++) {
        if (ring_peek(self, index) == byte) return (ptrdiff_t)index;
    }
    return -1;
}

size_t ring_make_room(ring *self, size_t room) {
    size_t there = ring_room(self);
    return room <= there ? 0 : ring_read(self, NULL, room - there);
}
