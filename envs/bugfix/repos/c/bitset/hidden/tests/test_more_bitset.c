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

TEST(sizes_are_cut) {
    bitset s = bitset_new(5000);
    CHECK(s.size == BITSET_MAX && bitset_put(&s, 1023, true) && !bitset_put(&s, 1024, true));
}

TEST(word_edges) {
    bitset s = bitset_new(200);
    const size_t edges[] = {0, 63, 64, 127, 128, 199};
    for (int i = 0; i < 6; i++) bitset_put(&s, edges[i], true);
    CHECK(prints(&s, "0,63-64,127-128,199"));
    for (int i = 0; i < 6; i++) CHECK(bitset_select(&s, (size_t)i) == (ptrdiff_t)edges[i] && bitset_rank(&s, edges[i]) == (size_t)i);
}

TEST(nothing_is_past_the_size) {
    bitset s = of(70, "0-69");
    CHECK(!bitset_has(&s, 70) && !bitset_has(&s, 100000));
    CHECK(bitset_next(&s, 70) == -1 && bitset_next_gap(&s, 0) == -1);
}

TEST(ranges_of_all_kinds) {
    for (size_t low = 0; low <= 130; low += 13) {
        for (size_t high = 0; high <= 140; high += 7) {
            bitset s = bitset_new(130), full = of(130, "0-129");
            bitset_put_range(&s, low, high, true);
            bitset_put_range(&full, low, high, false);
            for (size_t n = 0; n < 130; n++) {
                CHECK(bitset_has(&s, n) == (low <= n && n < high));
                CHECK(bitset_has(&full, n) != bitset_has(&s, n));
            }
        }
    }
}

TEST(ranges_end_at_words) {
    bitset s = bitset_new(192);
    bitset_put_range(&s, 64, 128, true);
    CHECK(prints(&s, "64-127"));
    CHECK(s.words[0] == 0 && s.words[2] == 0);
}

TEST(ranges_keep_others) {
    bitset s = of(64, "0,63");
    bitset_put_range(&s, 10, 20, true);
    CHECK(prints(&s, "0,10-19,63"));
    bitset_put_range(&s, 5, 15, false);
    CHECK(prints(&s, "0,15-19,63"));
}

TEST(counts_of_full_sets) {
    bitset s = of(64, "0-63"), more = of(65, "0-64");
    CHECK(bitset_count(&s) == 64 && bitset_count(&more) == 65);
}

TEST(next_over_empty_words) {
    bitset s = of(1024, "1023");
    CHECK(bitset_next(&s, 0) == 1023 && bitset_next(&s, 1023) == 1023 && bitset_next(&s, 1024) == -1);
}

TEST(next_in_an_empty_set) {
    bitset s = bitset_new(128);
    CHECK(bitset_next(&s, 0) == -1 && bitset_last(&s, 127) == -1);
}

TEST(next_from_itself) {
    bitset s = of(200, "64,66");
    CHECK(bitset_next(&s, 64) == 64 && bitset_next(&s, 65) == 66);
}

TEST(last_over_empty_words) {
    bitset s = of(1024, "0");
    CHECK(bitset_last(&s, 1023) == 0 && bitset_last(&s, 0) == 0 && bitset_last(&s, 99999) == 0);
}

TEST(last_from_itself) {
    bitset s = of(200, "62,64");
    CHECK(bitset_last(&s, 64) == 64 && bitset_last(&s, 63) == 62 && bitset_last(&s, 61) == -1);
}

TEST(last_at_word_ends) {
    bitset s = of(200, "63,127");
    CHECK(bitset_last(&s, 127) == 127 && bitset_last(&s, 126) == 63 && bitset_last(&s, 63) == 63);
}

TEST(sets_of_nothing) {
    bitset s = bitset_new(0);
    CHECK(bitset_next(&s, 0) == -1 && bitset_last(&s, 0) == -1 && bitset_next_gap(&s, 0) == -1 && bitset_count(&s) == 0);
    bitset_flip(&s);
    CHECK(bitset_count(&s) == 0 && bitset_find_gap(&s, 1) == -1);
}

TEST(gaps_between) {
    bitset s = of(130, "0-63,65-127");
    CHECK(bitset_next_gap(&s, 0) == 64 && bitset_next_gap(&s, 65) == 128 && bitset_next_gap(&s, 129) == 129);
}

TEST(ranks_past_the_end) {
    bitset s = of(100, "0-9,99");
    CHECK(bitset_rank(&s, 0) == 0 && bitset_rank(&s, 99) == 10 && bitset_rank(&s, 100) == 11 && bitset_rank(&s, 5000) == 11);
}

TEST(rank_and_select_agree) {
    bitset s = of(300, "1,5-9,64,100-170,255-256");
    size_t rank = 0;
    for (ptrdiff_t n = bitset_next(&s, 0); n >= 0; n = bitset_next(&s, (size_t)n + 1)) {
        CHECK(bitset_rank(&s, (size_t)n) == rank);
        CHECK(bitset_select(&s, rank++) == n);
    }
    CHECK(rank == bitset_count(&s) && bitset_select(&s, rank) == -1);
}

TEST(algebra_in_every_word) {
    bitset a = of(200, "0-10,100-110,190-199"), b = of(200, "5-15,105-115,195-199"), s = a;
    bitset_and(&s, &b);
    CHECK(prints(&s, "5-10,105-110,195-199"));
    s = a;
    bitset_or(&s, &b);
    CHECK(prints(&s, "0-15,100-115,190-199"));
    s = a;
    bitset_minus(&s, &b);
    CHECK(prints(&s, "0-4,100-104,190-194"));
    s = a;
    bitset_xor(&s, &b);
    CHECK(prints(&s, "0-4,11-15,100-104,111-115,190-194"));
}

TEST(flips_leave_nothing_behind) {
    bitset s = bitset_new(65);
    bitset_flip(&s);
    CHECK(s.words[1] == 1 && bitset_count(&s) == 65);
    bitset t = bitset_new(128);
    bitset_flip(&t);
    CHECK(bitset_count(&t) == 128);
    bitset_flip(&t);
    CHECK(bitset_count(&t) == 0);
}

TEST(shifts_down) {
    bitset s = of(200, "0,64-70,199");
    bitset_shift(&s, -64);
    CHECK(prints(&s, "0-6,135"));
}

TEST(shifts_up_and_out) {
    bitset s = of(100, "0,50,99");
    bitset_shift(&s, 1);
    CHECK(prints(&s, "1,51"));
    bitset_shift(&s, 0);
    CHECK(prints(&s, "1,51"));
    bitset_shift(&s, -1000);
    CHECK(bitset_count(&s) == 0 && s.size == 100);
}

TEST(equal_needs_one_size) {
    bitset a = of(100, "1"), b = of(101, "1"), c = of(100, "1-2");
    CHECK(!bitset_equal(&a, &b) && !bitset_equal(&a, &c) && !bitset_equal(&c, &a));
    bitset_put(&c, 2, false);
    CHECK(bitset_equal(&a, &c));
}

TEST(within) {
    bitset a = of(100, "1,70"), b = of(100, "1-2,70"), none = bitset_new(100);
    CHECK(bitset_within(&a, &b) && !bitset_within(&b, &a) && bitset_within(&none, &a) && bitset_within(&a, &a));
    bitset zero = of(100, "0");
    CHECK(!bitset_within(&zero, &none) && bitset_within(&none, &zero) && !bitset_equal(&zero, &none));
}

TEST(gaps_at_the_ends) {
    bitset s = of(100, "5-97");
    CHECK(bitset_find_gap(&s, 5) == 0 && bitset_find_gap(&s, 6) == -1);
    s = of(100, "0-97");
    CHECK(bitset_find_gap(&s, 2) == 98 && bitset_find_gap(&s, 3) == -1);
}

TEST(gaps_across_words) {
    bitset s = of(200, "0-59,70-199");
    CHECK(bitset_find_gap(&s, 10) == 60 && bitset_find_gap(&s, 11) == -1);
}

TEST(gaps_in_full_and_empty_sets) {
    bitset s = of(100, "0-99"), none = bitset_new(100);
    CHECK(bitset_find_gap(&s, 1) == -1 && bitset_find_gap(&none, 100) == 0 && bitset_find_gap(&none, 101) == -1);
}

TEST(prints_nothing) {
    bitset s = bitset_new(9);
    char text[4] = "xx";
    CHECK(bitset_print(&s, text, 4) == 0 && text[0] == 0);
}

TEST(prints_pairs_as_ranges) {
    bitset s = of(100, "1,2,4");
    CHECK(prints(&s, "1-2,4"));
}

TEST(prints_what_fits) {
    bitset s = of(100, "1-2,45,67");
    char text[6];
    CHECK(bitset_print(&s, text, 6) == 9 && strcmp(text, "1-2,4") == 0);
    CHECK(bitset_print(&s, NULL, 0) == 9);
}

TEST(parses_overlaps_in_any_order) {
    bitset s = of(100, "50,3-9,5-12,0");
    CHECK(prints(&s, "0,3-12,50"));
}

TEST(parse_adds) {
    bitset s = of(100, "1");
    CHECK(bitset_parse(&s, "99") && bitset_parse(&s, ""));
    CHECK(prints(&s, "1,99"));
}

TEST(parse_refuses_odd_text) {
    bitset s = of(100, "7");
    const char *odd[] = {",", "1,", "1-", "-1", "1--2", "1 2", "1;2", "100", "1-100", "99999999999999999999999", "2-1", "1-2-3", "a", "1:", "1/"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) CHECK(!bitset_parse(&s, odd[i]));
    CHECK(prints(&s, "7"));
}

TEST(packs_long_runs) {
    bitset s = of(1024, "300-899"), back = bitset_new(1024);
    const uint8_t want[] = {255, 0, 45, 255, 0, 255, 0, 90, 124};
    uint8_t bytes[32];
    CHECK(bitset_pack(&s, bytes, sizeof bytes) == sizeof want && memcmp(bytes, want, sizeof want) == 0);
    CHECK(bitset_unpack(&back, bytes, sizeof want) && bitset_equal(&s, &back));
}

TEST(packs_runs_of_255) {
    bitset s = of(510, "255-509"), back = bitset_new(510);
    uint8_t bytes[8];
    CHECK(bitset_pack(&s, bytes, 8) == 2 && bytes[0] == 255 && bytes[1] == 255);
    CHECK(bitset_unpack(&back, bytes, 2) && bitset_equal(&s, &back));
}

TEST(packs_from_the_first) {
    bitset s = of(3, "0,2");
    uint8_t bytes[4];
    CHECK(bitset_pack(&s, bytes, 4) == 4 && bytes[0] == 0 && bytes[1] == 1 && bytes[2] == 1 && bytes[3] == 1);
    CHECK(bitset_pack(&s, bytes, 3) == 0);
}

TEST(unpack_needs_the_size) {
    bitset s = of(10, "3");
    const uint8_t few[] = {2, 3}, many[] = {2, 9}, right[] = {2, 8};
    CHECK(!bitset_unpack(&s, few, 2) && !bitset_unpack(&s, many, 2) && !bitset_unpack(&s, right, 0));
    CHECK(prints(&s, "3"));
    CHECK(bitset_unpack(&s, right, 2));
    CHECK(prints(&s, "2-9"));
}
