#include <string.h>

#include "check.h"
#include "cobs.h"
#include "crc.h"
#include "ring.h"

TEST(crc_of_the_check_string) { CHECK(crc16((const uint8_t *)"123456789", 9) == 0x29B1); }

TEST(crc_of_nothing) { CHECK(crc16(NULL, 0) == CRC16_START); }

TEST(crc_in_two_parts) {
    uint16_t first = crc16((const uint8_t *)"1234", 4);
    CHECK(crc16_update(first, (const uint8_t *)"56789", 5) == 0x29B1);
}

TEST(cobs_of_nothing) {
    uint8_t out[4];
    CHECK(cobs_encode(NULL, 0, out, sizeof out) == 1);
    CHECK(out[0] == 1);
}

TEST(cobs_moves_zeros_out) {
    const uint8_t in[] = {0x11, 0x00, 0x00, 0x22}, want[] = {0x02, 0x11, 0x01, 0x02, 0x22};
    uint8_t out[8];
    CHECK(cobs_encode(in, sizeof in, out, sizeof out) == sizeof want);
    CHECK(memcmp(out, want, sizeof want) == 0);
}

TEST(cobs_round_trip) {
    const uint8_t in[] = {0, 1, 2, 0, 0, 255, 0};
    uint8_t out[16], back[16];
    size_t count = cobs_encode(in, sizeof in, out, sizeof out);
    CHECK(memchr(out, 0, count) == NULL);
    CHECK(cobs_decode(out, count, back, sizeof back) == sizeof in);
    CHECK(memcmp(in, back, sizeof in) == 0);
}

TEST(cobs_refuses_zeros) {
    const uint8_t in[] = {3, 1, 0};
    uint8_t out[8];
    CHECK(cobs_decode(in, sizeof in, out, sizeof out) == -1);
}

TEST(cobs_refuses_a_short_block) {
    const uint8_t in[] = {4, 1, 2};
    uint8_t out[8];
    CHECK(cobs_decode(in, sizeof in, out, sizeof out) == -1);
}

TEST(ring_is_first_in_first_out) {
    uint8_t memory[4], out[4];
    ring r;
    ring_init(&r, memory, sizeof memory);
    CHECK(ring_write(&r, (const uint8_t *)"abc", 3) == 3);
    CHECK(ring_read(&r, out, 2) == 2);
    CHECK(memcmp(out, "ab", 2) == 0);
    CHECK(r.length == 1);
}

TEST(ring_takes_what_fits) {
    uint8_t memory[4];
    ring r;
    ring_init(&r, memory, sizeof memory);
    CHECK(ring_write(&r, (const uint8_t *)"abcdef", 6) == 4);
    CHECK(ring_room(&r) == 0);
}

TEST(ring_wraps_around) {
    uint8_t memory[4], out[4];
    ring r;
    ring_init(&r, memory, sizeof memory);
    ring_write(&r, (const uint8_t *)"abc", 3);
    ring_read(&r, NULL, 2);
    CHECK(ring_write(&r, (const uint8_t *)"def", 3) == 3);
    CHECK(ring_read(&r, out, 9) == 4);
    CHECK(memcmp(out, "cdef", 4) == 0);
}

TEST(ring_finds_a_byte) {
    uint8_t memory[8];
    ring r;
    ring_init(&r, memory, sizeof memory);
    ring_write(&r, (const uint8_t *)"abcab", 5);
    CHECK(ring_find(&r, 'b', 0) == 1);
    CHECK(ring_find(&r, 'b', 2) == 4);
    CHECK(ring_find(&r, 'x', 0) == -1);
}
