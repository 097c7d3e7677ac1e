#include "frame.h"

#include <string.h>

#include "cobs.h"
#include "crc.h"

enum { HEAD = 2, TAIL = 2, RAW = HEAD + FRAME_PAYLOAD + TAIL };

size_t frame_encode(const frame *self, uint8_t *out, size_t room) {
    uint8_t raw[RAW];
    if (self->length > FRAME_PAYLOAD || room == 0) return 0;
    raw[0] = self->type;
    raw[1] = self->sequence;
    memcpy(raw + HEAD, self->payload, self->length);
    size_t count = HEAD + self->length;
    uint16_t crc = crc16(raw, count);
    raw[count++] = (uint8_t)(crc >> 8);
    raw[count++] = (uint8_t)(crc & 0xFF);
    size_t written = cobs_encode(raw, count, out, room - 1);
    if (written == 0) return 0;
    out[written] = 0;
    return written + 1;
}

bool frame_decode(frame *self, const uint8_t *bytes, size_t count) {
    uint8_t raw[RAW];
    ptrdiff_t decoded = cobs_decode(bytes, count, raw, sizeof raw);
    if (decoded < HEAD + TAIL) return false;
    size_t body = (size_t)decoded - TAIL;
    uint16_t crc = (uint16_t)(raw[body] << 8 | raw[body + 1]);
    if (crc != crc16(raw, body)) return false;
    self->type = raw[0];
    self->sequence = raw[1];
    self->length = body - HEAD;
    memcpy(self->payload, raw + HEAD, self->length);
    return true;
}

void receiver_init(receiver *self) {
    memset(self, 0, sizeof *self);
    ring_init(&self->buffer, self->memory, sizeof self->memory);
}

void receiver_feed(receiver *self, const uint8_t *bytes, size_t count) {
    if (count > self->buffer.capacity) {
        size_t excess = count - self->buffer.capacity;
        self->dropped += excess;
        bytes += excess;
        count -= excess;
    }
    self->dropped += ring_make_room(&self->buffer, count);
    ring_write(&self->buffer, bytes, count);
}

/* Note a sound frame's number; false for a repeated one. */
static bool accept(receiver *self, uint8_t sequence) {
    if (self->synchronised) {
        uint8_t ahead = (uint8_t)(sequence - self->expected);
        if (ahead == 0xFF) {
            self->repeated++;
            return false;
        }
        self->lost += ahead;
    }
    self->synchronised = true;
    self->expected = (uint8_t)(sequence + 1);
    self->received++;
    return true;
}

bool receiver_next(receiver *self, frame *into) {
    uint8_t wire[FRAME_WIRE];
    ptrdiff_t end;
    while ((end = ring_find(&self->buffer, 0, 0)) >= 0) {
        size_t count = (size_t)end;
        bool fits = count <= sizeof wire;
        ring_read(&self->buffer, fits ? wire : NULL, count);
        ring_read(&self->buffer, NULL, 1);
        if (count == 0) continue;
        if (!fits || !frame_decode(into, wire, count)) {
            self->damaged++;
        } else if (accept(self, into->sequence)) {
            return true;
        }
    }
    return false;
}
