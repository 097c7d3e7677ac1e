#include <string.h>

#include "check.h"
#include "cobs.h"
#include "crc.h"
#include "frame.h"

static uint8_t line[4 * FRAME_WIRE];

static size_t wire(uint8_t *out, uint8_t sequence, size_t length) {
    frame f = {.type = 9, .sequence = sequence, .length = length};
    for (size_t i = 0; i < length; i++) f.payload[i] = (uint8_t)(i * 7 + sequence);
    return frame_encode(&f, out, FRAME_WIRE);
}

static bool whole(const frame *f, uint8_t sequence, size_t length) {
    if (f->type != 9 || f->sequence != sequence || f->length != length) return false;
    for (size_t i = 0; i < length; i++) {
        if (f->payload[i] != (uint8_t)(i * 7 + sequence)) return false;
    }
    return true;
}

TEST(bytes_on_the_wire) {
    frame f = {.type = 1, .sequence = 2};
    const uint8_t raw[] = {1, 2};
    uint16_t crc = crc16(raw, 2);
    CHECK(frame_encode(&f, line, 6) == 6);
    CHECK(line[0] == 5 && line[1] == 1 && line[2] == 2);
    CHECK(line[3] == crc >> 8 && line[4] == (crc & 0xFF) && line[5] == 0);
}

TEST(room_for_one_less) {
    frame f = {.type = 1, .sequence = 2};
    CHECK(frame_encode(&f, line, 5) == 0);
}

TEST(the_longest_payload) {
    frame f;
    size_t count = wire(line, 5, FRAME_PAYLOAD);
    CHECK(count > FRAME_PAYLOAD && count <= FRAME_WIRE);
    CHECK(frame_decode(&f, line, count - 1));
    CHECK(whole(&f, 5, FRAME_PAYLOAD));
}

TEST(a_payload_that_is_too_long) {
    static frame f;
    f.length = FRAME_PAYLOAD + 1;
    CHECK(frame_encode(&f, line, sizeof line) == 0);
}

TEST(a_frame_without_payload) {
    frame f;
    size_t count = wire(line, 0, 0);
    CHECK(frame_decode(&f, line, count - 1));
    CHECK(f.length == 0);
}

TEST(too_few_bytes_for_a_frame) {
    const uint8_t raw[] = {0x12, 0xFF, 0xFF};
    uint8_t bytes[8];
    frame f;
    CHECK(!frame_decode(&f, bytes, cobs_encode(raw, 3, bytes, sizeof bytes)));
    CHECK(!frame_decode(&f, bytes, 0));
}

TEST(only_a_crc_is_no_frame) {
    const uint8_t raw[] = {0xFF, 0xFF};
    uint8_t bytes[8];
    frame f;
    CHECK(!frame_decode(&f, bytes, cobs_encode(raw, 2, bytes, sizeof bytes)));
}

TEST(one_byte_and_its_crc_is_no_frame) {
    uint8_t raw[3] = {0x41, 0xB9, 0x15}, bytes[8];
    frame f;
    CHECK(!frame_decode(&f, bytes, cobs_encode(raw, 3, bytes, sizeof bytes)));
}

TEST(damage_anywhere_is_noticed) {
    for (size_t at = 0; at + 1 < 14; at++) {
        frame f;
        size_t count = wire(line, 8, 8);
        CHECK(count == 14);
        line[at] ^= 0x40;
        CHECK(!frame_decode(&f, line, count - 1));
    }
}

TEST(frames_of_every_length_pass_a_receiver) {
    receiver r;
    receiver_init(&r);
    for (size_t length = 0; length <= FRAME_PAYLOAD; length += 16) {
        frame f;
        receiver_feed(&r, line, wire(line, (uint8_t)(length / 16), length));
        CHECK(receiver_next(&r, &f));
        CHECK(whole(&f, (uint8_t)(length / 16), length));
    }
    CHECK(r.received == 33 && r.lost == 0 && r.damaged == 0 && r.dropped == 0);
}

TEST(the_first_number_is_right) {
    receiver r;
    frame f;
    receiver_init(&r);
    receiver_feed(&r, line, wire(line, 200, 1));
    CHECK(receiver_next(&r, &f));
    CHECK(r.lost == 0 && r.repeated == 0);
}

TEST(the_first_number_may_be_255) {
    receiver r;
    frame f;
    receiver_init(&r);
    receiver_feed(&r, line, wire(line, 255, 1));
    CHECK(receiver_next(&r, &f));
    CHECK(r.received == 1 && r.repeated == 0);
}

TEST(numbers_wrap_around) {
    receiver r;
    frame f;
    receiver_init(&r);
    receiver_feed(&r, line, wire(line, 254, 1));
    receiver_feed(&r, line, wire(line, 255, 1));
    receiver_feed(&r, line, wire(line, 0, 1));
    receiver_feed(&r, line, wire(line, 2, 1));
    for (int i = 0; i < 4; i++) CHECK(receiver_next(&r, &f));
    CHECK(r.lost == 1 && r.received == 4);
}

TEST(an_older_number_is_a_long_gap) {
    receiver r;
    frame f;
    receiver_init(&r);
    receiver_feed(&r, line, wire(line, 10, 1));
    receiver_feed(&r, line, wire(line, 9, 1));
    CHECK(receiver_next(&r, &f) && receiver_next(&r, &f));
    CHECK(r.lost == 254);
}

TEST(after_a_repeated_frame_the_next_is_expected) {
    receiver r;
    frame f;
    receiver_init(&r);
    receiver_feed(&r, line, wire(line, 1, 1));
    receiver_feed(&r, line, wire(line, 1, 1));
    receiver_feed(&r, line, wire(line, 2, 1));
    CHECK(receiver_next(&r, &f) && f.sequence == 1);
    CHECK(receiver_next(&r, &f) && f.sequence == 2);
    CHECK(r.repeated == 1 && r.lost == 0);
}

TEST(empty_frames_are_not_counted) {
    receiver r;
    frame f;
    const uint8_t zeros[3] = {0};
    receiver_init(&r);
    receiver_feed(&r, zeros, 3);
    CHECK(!receiver_next(&r, &f));
    CHECK(r.damaged == 0 && r.received == 0);
    CHECK(r.buffer.length == 0);
}

TEST(noise_before_a_frame_damages_it_alone) {
    receiver r;
    frame f;
    receiver_init(&r);
    receiver_feed(&r, (const uint8_t *)"noise", 5);
    receiver_feed(&r, line, wire(line, 1, 4));
    receiver_feed(&r, line, wire(line, 2, 4));
    CHECK(receiver_next(&r, &f) && whole(&f, 2, 4));
    CHECK(r.damaged == 1);
}

TEST(what_is_longer_than_a_frame_is_damaged) {
    receiver r;
    frame f;
    receiver_init(&r);
    memset(line, 1, FRAME_WIRE + 1);
    receiver_feed(&r, line, FRAME_WIRE + 1);
    line[0] = 0;
    receiver_feed(&r, line, 1);
    receiver_feed(&r, line, wire(line, 3, 2));
    CHECK(receiver_next(&r, &f) && f.sequence == 3);
    CHECK(r.damaged == 1);
}

TEST(unread_bytes_are_dropped_from_the_front) {
    receiver r;
    frame f;
    receiver_init(&r);
    for (uint8_t i = 0; i < 3; i++) receiver_feed(&r, line, wire(line, i, 400));
    CHECK(r.dropped > 0);
    CHECK(r.buffer.length == 2 * FRAME_WIRE);
    CHECK(receiver_next(&r, &f) && whole(&f, 1, 400));
    CHECK(receiver_next(&r, &f) && whole(&f, 2, 400));
    CHECK(r.damaged == 1);
}

TEST(of_too_many_bytes_the_last_are_kept) {
    receiver r;
    frame f;
    receiver_init(&r);
    memset(line, 0, sizeof line);
    size_t start = sizeof line - FRAME_WIRE, count = wire(line + start, 6, 10);
    receiver_feed(&r, line, start + count);
    CHECK(r.dropped == start + count - 2 * FRAME_WIRE);
    CHECK(receiver_next(&r, &f) && whole(&f, 6, 10));
}

TEST(bytes_one_by_one) {
    receiver r;
    frame f;
    receiver_init(&r);
    size_t count = wire(line, 1, 20);
    for (size_t i = 0; i < count; i++) {
        CHECK(!receiver_next(&r, &f));
        receiver_feed(&r, line + i, 1);
    }
    CHECK(receiver_next(&r, &f) && whole(&f, 1, 20));
}
