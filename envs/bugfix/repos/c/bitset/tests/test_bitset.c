#include <string.h>

#include "bitset.h"
#include "bitset_text.h"
#include "check.h"

static bitset of(size_t size, const char *text) {
    bitset made = bitset_new(size);
    if (!bitset_parse(&made, text)) CHECK(!"a text of the test is wrong");
    return made;
}

static bool prints(const bitset *self, const char *want) {
    char text[400];
    return bitset_print(self, text, sizeof text) == strlen(want) && strcmp(text, want) == 0;
}

TEST(new_sets_are_empty) {
    bitset s = bitset_new(100);
    CHECK(bitset_count(&s) == 0 && s.size == 100);
}

TEST(put_and_has) {
    bitset s = bitset_new(100);
    CHECK(bitset_put(&s, 64, true));
    CHECK(bitset_has(&s, 64) && !bitset_has(&s, 63) && !bitset_has(&s, 65));
}

TEST(take_out) {
    bitset s = of(100, "1-5");
    bitset_put(&s, 3, false);
    CHECK(prints(&s, "1-2,4-5"));
}

TEST(put_refuses_the_size) {
    bitset s = bitset_new(100);
    CHECK(!bitset_put(&s, 100, true));
}

TEST(put_ranges) {
    bitset s = bitset_new(200);
    bitset_put_range(&s, 60, 140, true);
    CHECK(prints(&s, "60-139"));
}

TEST(clear_ranges) {
    bitset s = of(200, "0-199");
    bitset_put_range(&s, 10, 190, false);
    CHECK(prints(&s, "0-9,190-199"));
}

TEST(count) {
    bitset s = of(200, "0-9,100-149");
    CHECK(bitset_count(&s) == 60);
}

TEST(next) {
    bitset s = of(200, "5,150");
    CHECK(bitset_next(&s, 0) == 5 && bitset_next(&s, 6) == 150 && bitset_next(&s, 151) == -1);
}

TEST(next_gap) {
    bitset s = of(100, "0-69");
    CHECK(bitset_next_gap(&s, 0) == 70);
}

TEST(last) {
    bitset s = of(200, "5,150");
    CHECK(bitset_last(&s, 199) == 150 && bitset_last(&s, 149) == 5 && bitset_last(&s, 4) == -1);
}

TEST(rank) {
    bitset s = of(200, "0-9,100-109");
    CHECK(bitset_rank(&s, 5) == 5 && bitset_rank(&s, 105) == 15);
}

TEST(select_by_rank) {
    bitset s = of(200, "3,70,150");
    CHECK(bitset_select(&s, 0) == 3 && bitset_select(&s, 2) == 150 && bitset_select(&s, 3) == -1);
}

TEST(and_of_two) {
    bitset a = of(100, "1-5"), b = of(100, "4-9");
    bitset_and(&a, &b);
    CHECK(prints(&a, "4-5"));
}

TEST(or_of_two) {
    bitset a = of(100, "1-5"), b = of(100, "4-9");
    bitset_or(&a, &b);
    CHECK(prints(&a, "1-9"));
}

TEST(minus_of_two) {
    bitset a = of(100, "1-5"), b = of(100, "4-9");
    bitset_minus(&a, &b);
    CHECK(prints(&a, "1-3"));
}

TEST(xor_of_two) {
    bitset a = of(100, "1-5"), b = of(100, "4-9");
    bitset_xor(&a, &b);
    CHECK(prints(&a, "1-3,6-9"));
}

TEST(flip) {
    bitset s = of(70, "0-9");
    bitset_flip(&s);
    CHECK(prints(&s, "10-69"));
}

TEST(shift) {
    bitset s = of(100, "0-9");
    bitset_shift(&s, 60);
    CHECK(prints(&s, "60-69"));
}

TEST(gaps_of_a_length) {
    bitset s = of(100, "0-9,12-19");
    CHECK(bitset_find_gap(&s, 2) == 10 && bitset_find_gap(&s, 3) == 20);
}

TEST(parse_refuses) {
    bitset s = bitset_new(10);
    CHECK(!bitset_parse(&s, "1,x") && !bitset_parse(&s, "10") && !bitset_parse(&s, "5-3"));
    CHECK(bitset_count(&s) == 0);
}

TEST(pack) {
    bitset s = of(10, "2-4"), back = bitset_new(10);
    uint8_t bytes[8];
    CHECK(bitset_pack(&s, bytes, 8) == 3 && bytes[0] == 2 && bytes[1] == 3 && bytes[2] == 5);
    CHECK(bitset_unpack(&back, bytes, 3) && bitset_equal(&s, &back));
}
