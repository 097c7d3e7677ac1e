/* Frames on a line: COBS(type, sequence, payload, CRC-16 of all before, high byte first), then a zero. */
#ifndef FRAME_H
#define FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring.h"

enum { FRAME_PAYLOAD = 512, FRAME_WIRE = 520 };

typedef struct {
    uint8_t type;
    uint8_t sequence;
    size_t length;
    uint8_t payload[FRAME_PAYLOAD];
} frame;

/** Write a frame with its zero into `out`; returns how many bytes, or 0 where `room` or the frame's length does not do. */
size_t frame_encode(const frame *self, uint8_t *out, size_t room);

/** Read one frame from the bytes before its zero; false where they are damaged or too many. */
bool frame_decode(frame *self, const uint8_t *bytes, size_t count);

/** What a receiver has seen. `lost` are frames missing by their sequence numbers, `damaged` those that could not be read,
 * `dropped` bytes that went because nobody read. */
typedef struct {
    ring buffer;
    uint8_t memory[2 * FRAME_WIRE];
    bool synchronised;
    uint8_t expected;
    unsigned received, lost, damaged, repeated;
    size_t dropped;
} receiver;

/** A receiver that has seen nothing; whatever sequence number comes first is right. */
void receiver_init(receiver *self);

/** Take bytes from the line. The oldest go where they do not fit; of more than fit at all, only the last are kept. */
void receiver_feed(receiver *self, const uint8_t *bytes, size_t count);

/** The next whole and sound frame; false where there is none yet. Damaged frames, empty ones (two zeros in a row; these
 * are not counted) and repeated ones (the same sequence number as the frame before) are skipped. */
bool receiver_next(receiver *self, frame *into);

#endif
