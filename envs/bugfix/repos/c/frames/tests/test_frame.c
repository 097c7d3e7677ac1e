#include <string.h>

#include "check.h"
#include "frame.h"

static size_t wire(uint8_t *out, uint8_t sequence, const char *text) {
    frame f = {.type = 7, .sequence = sequence, .length = strlen(text)};
    memcpy(f.payload, text, f.length);
    return frame_encode(&f, out, FRAME_WIRE);
}

TEST(a_frame_comes_back) {
    uint8_t bytes[FRAME_WIRE];
    frame f;
    size_t count = wire(bytes, 3, "hello");
    CHECK(count == 11 && bytes[count - 1] == 0);
    CHECK(frame_decode(&f, bytes, count - 1));
    CHECK(f.type == 7 && f.sequence == 3 && f.length == 5);
    CHECK(memcmp(f.payload, "hello", 5) == 0);
}

TEST(a_changed_bit_is_noticed) {
    uint8_t bytes[FRAME_WIRE];
    frame f;
    size_t count = wire(bytes, 3, "hello");
    bytes[4] ^= 0x10;
    CHECK(!frame_decode(&f, bytes, count - 1));
}

TEST(a_frame_needs_room) {
    uint8_t bytes[FRAME_WIRE];
    frame f = {.length = 4};
    CHECK(frame_encode(&f, bytes, 5) == 0);
    CHECK(frame_encode(&f, bytes, 0) == 0);
}

TEST(a_receiver_gives_frames_in_order) {
    uint8_t bytes[FRAME_WIRE];
    receiver r;
    frame f;
    receiver_init(&r);
    receiver_feed(&r, bytes, wire(bytes, 1, "one"));
    receiver_feed(&r, bytes, wire(bytes, 2, "two"));
    CHECK(receiver_next(&r, &f) && memcmp(f.payload, "one", 3) == 0);
    CHECK(receiver_next(&r, &f) && memcmp(f.payload, "two", 3) == 0);
    CHECK(!receiver_next(&r, &f));
    CHECK(r.received == 2 && r.lost == 0);
}

TEST(a_receiver_waits_for_the_end) {
    uint8_t bytes[FRAME_WIRE];
    receiver r;
    frame f;
    receiver_init(&r);
    size_t count = wire(bytes, 1, "one");
    receiver_feed(&r, bytes, count - 1);
    CHECK(!receiver_next(&r, &f));
    receiver_feed(&r, bytes + count - 1, 1);
    CHECK(receiver_next(&r, &f));
}

TEST(a_receiver_skips_damaged_frames) {
    uint8_t bytes[FRAME_WIRE];
    receiver r;
    frame f;
    receiver_init(&r);
    size_t count = wire(bytes, 1, "one");
    bytes[2] ^= 8;
    receiver_feed(&r, bytes, count);
    receiver_feed(&r, bytes, wire(bytes, 2, "two"));
    CHECK(receiver_next(&r, &f) && f.sequence == 2);
    CHECK(r.damaged == 1 && r.received == 1);
}

TEST(a_receiver_counts_what_is_lost) {
    uint8_t bytes[FRAME_WIRE];
    receiver r;
    frame f;
    receiver_init(&r);
    receiver_feed(&r, bytes, wire(bytes, 1, ""));
    receiver_feed(&r, bytes, wire(bytes, 4, ""));
    CHECK(receiver_next(&r, &f) && receiver_next(&r, &f));
    CHECK(r.lost == 2);
}

TEST(a_receiver_skips_repeated_frames) {
    uint8_t bytes[FRAME_WIRE];
    receiver r;
    frame f;
    receiver_init(&r);
    size_t count = wire(bytes, 1, "x");
    receiver_feed(&r, bytes, count);
    receiver_feed(&r, bytes, count);
    CHECK(receiver_next(&r, &f));
    CHECK(!receiver_next(&r, &f));
    CHECK(r.repeated == 1 && r.received == 1);
}
