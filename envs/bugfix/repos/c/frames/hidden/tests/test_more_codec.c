#include <string.h>

#include "check.h"
#include "cobs.h"
#include "crc.h"
#include "ring.h"

static uint8_t memory[5];

static ring filled(const char *text, size_t skipped) {
    ring r;
    ring_init(&r, memory, sizeof memory);
    ring_write(&r, (const uint8_t *)"-----", skipped);
    ring_read(&r, NULL, skipped);
    ring_write(&r, (const uint8_t *)text, strlen(text));
    return r;
}

TEST(crc_of_single_bytes) {
    const uint8_t zero = 0, a = 'A';
    CHECK(crc16(&zero, 1) == 0xE1F0);
    CHECK(crc16(&a, 1) == 0xB915);
}

TEST(crc_depends_on_order) { CHECK(crc16((const uint8_t *)"ab", 2) != crc16((const uint8_t *)"ba", 2)); }

TEST(crc_of_a_message_with_its_crc_is_zero) {
    uint8_t message[] = {'1', '2', '3', '4', '5', '6', '7', '8', '9', 0x29, 0xB1};
    CHECK(crc16(message, sizeof message) == 0);
}

TEST(bounds) {
    CHECK(cobs_bound(0) == 1);
    CHECK(cobs_bound(1) == 2);
    CHECK(cobs_bound(254) == 255);
    CHECK(cobs_bound(255) == 257);
    CHECK(cobs_bound(508) == 510);
    CHECK(cobs_bound(509) == 512);
}

static void round_trip(size_t count, uint8_t step, size_t want) {
    uint8_t in[600], out[620], back[600];
    for (size_t i = 0; i < count; i++) in[i] = (uint8_t)(1 + i * step % 255);
    size_t written = cobs_encode(in, count, out, sizeof out);
    CHECK(written == want);
    CHECK(written <= cobs_bound(count));
    CHECK(cobs_decode(out, written, back, sizeof back) == (ptrdiff_t)count);
    CHECK(memcmp(in, back, count) == 0);
}

TEST(a_block_of_253) { round_trip(253, 1, 254); }

TEST(a_full_block) { round_trip(254, 1, 255); }

TEST(one_more_than_a_full_block) { round_trip(255, 1, 257); }

TEST(two_full_blocks) { round_trip(508, 1, 510); }

TEST(two_full_blocks_and_one) { round_trip(509, 1, 512); }

TEST(a_zero_after_a_full_block) {
    uint8_t in[255], out[300], back[300];
    memset(in, 9, 254);
    in[254] = 0;
    CHECK(cobs_encode(in, 255, out, sizeof out) == 257);
    CHECK(out[0] == 0xFF && out[255] == 1 && out[256] == 1);
    CHECK(cobs_decode(out, 257, back, sizeof back) == 255);
    CHECK(memcmp(in, back, 255) == 0);
}

TEST(one_zero_becomes_two_codes) {
    uint8_t zero = 0, out[4], back[4];
    CHECK(cobs_encode(&zero, 1, out, sizeof out) == 2);
    CHECK(out[0] == 1 && out[1] == 1);
    CHECK(cobs_decode(out, 2, back, sizeof back) == 1);
    CHECK(back[0] == 0);
}

TEST(encoding_needs_exact_room) {
    const uint8_t in[] = {1, 2, 0, 3};
    uint8_t out[5];
    CHECK(cobs_encode(in, 4, out, 5) == 5);
    CHECK(cobs_encode(in, 4, out, 4) == 0);
    CHECK(cobs_encode(in, 0, out, 0) == 0);
    CHECK(cobs_encode(in, 0, out, 1) == 1);
}

TEST(decoding_needs_exact_room) {
    const uint8_t in[] = {2, 7, 2, 8};
    uint8_t out[4];
    CHECK(cobs_decode(in, 4, out, 3) == 3);
    CHECK(out[0] == 7 && out[1] == 0 && out[2] == 8);
    CHECK(cobs_decode(in, 4, out, 2) == -1);
    CHECK(cobs_decode(in, 4, out, 1) == -1);
    CHECK(cobs_decode(in, 4, out, 0) == -1);
}

TEST(decoding_the_shortest) {
    const uint8_t one = 1, two = 2;
    uint8_t out[2];
    CHECK(cobs_decode(&one, 1, out, 0) == 0);
    CHECK(cobs_decode(&two, 1, out, 2) == -1);
    CHECK(cobs_decode(&one, 0, out, 2) == -1);
}

TEST(decoding_a_zero_code) {
    const uint8_t in[] = {2, 5, 0};
    uint8_t out[4];
    CHECK(cobs_decode(in, 3, out, sizeof out) == -1);
}

TEST(rings_peek_without_taking) {
    ring r = filled("abc", 4);
    CHECK(ring_peek(&r, 0) == 'a');
    CHECK(ring_peek(&r, 2) == 'c');
    CHECK(ring_peek(&r, 3) == -1);
    CHECK(r.length == 3);
}

TEST(rings_find_across_the_end) {
    ring r = filled("abcde", 3);
    CHECK(ring_find(&r, 'e', 0) == 4);
    CHECK(ring_find(&r, 'a', 0) == 0);
    CHECK(ring_find(&r, 'a', 1) == -1);
    CHECK(ring_find(&r, 'a', 99) == -1);
}

TEST(rings_do_not_find_what_is_gone) {
    ring r = filled("ab", 1);
    CHECK(ring_find(&r, '-', 0) == -1);
}

TEST(rings_read_at_most_what_is_there) {
    uint8_t out[8] = {0};
    ring r = filled("xyz", 3);
    CHECK(ring_read(&r, out, 8) == 3);
    CHECK(memcmp(out, "xyz\0", 4) == 0);
    CHECK(ring_read(&r, out, 1) == 0);
    CHECK(ring_room(&r) == 5);
}

TEST(rings_keep_order_at_every_offset) {
    for (size_t offset = 0; offset <= 5; offset++) {
        uint8_t out[5];
        ring r = filled("abcde", offset);
        CHECK(ring_read(&r, out, 2) == 2);
        CHECK(ring_write(&r, (const uint8_t *)"fg", 2) == 2);
        CHECK(memcmp(out, "ab", 2) == 0);
        CHECK(ring_read(&r, out, 5) == 5);
        CHECK(memcmp(out, "cdefg", 5) == 0);
    }
}

TEST(rings_make_room_by_the_oldest) {
    ring r = filled("abcd", 2);
    CHECK(ring_make_room(&r, 1) == 0);
    CHECK(ring_make_room(&r, 3) == 2);
    CHECK(ring_peek(&r, 0) == 'c');
    CHECK(ring_make_room(&r, 3) == 0);
    CHECK(ring_make_room(&r, 99) == 2);
    CHECK(r.length == 0);
}

TEST(rings_write_nothing_when_full) {
    ring r = filled("abcde", 0);
    CHECK(ring_write(&r, (const uint8_t *)"f", 1) == 0);
    CHECK(ring_peek(&r, 0) == 'a');
}

TEST(rings_without_memory_hold_nothing) {
    ring r;
    ring_init(&r, NULL, 0);
    CHECK(ring_write(&r, (const uint8_t *)"f", 1) == 0);
    CHECK(ring_read(&r, NULL, 1) == 0);
    CHECK(ring_room(&r) == 0);
}
