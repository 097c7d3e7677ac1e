#include <string.h>

#include "check.h"
#include "fix.h"
#include "fix_text.h"

static bool prints(fix a, int places, const char *want) {
    char out[FIX_TEXT];
    return fix_print(a, places, out) == strlen(want) && strcmp(out, want) == 0;
}

static bool prints_short(fix a, const char *want) {
    char out[FIX_TEXT];
    return fix_print_short(a, out) == strlen(want) && strcmp(out, want) == 0;
}

static bool reads(const char *text, fix want) {
    fix value = 12345;
    return fix_parse(text, &value) && value == want;
}

static bool refuses(const char *text) {
    fix value = 12345;
    return !fix_parse(text, &value) && value == 12345;
}

TEST(wholes_saturate) { CHECK(fix_of(32768) == FIX_MAX && fix_of(-32769) == FIX_MIN && fix_of(-32768) == FIX_MIN); }
TEST(ratios_round) { CHECK(fix_ratio(1, 3) == 21845 && fix_ratio(2, 3) == 43691 && fix_ratio(-2, 3) == -43691); }
TEST(ratio_halves) { CHECK(fix_ratio(1, 131072) == 1 && fix_ratio(-1, 131072) == -1 && fix_ratio(3, 131072) == 2); }
TEST(ratio_below_halves) { CHECK(fix_ratio(1, 131073) == 0 && fix_ratio(-1, 131073) == 0); }
TEST(ratio_signs) { CHECK(fix_ratio(3, -2) == -98304 && fix_ratio(-3, -2) == 98304); }
TEST(ratio_by_zero) { CHECK(fix_ratio(5, 0) == FIX_MAX && fix_ratio(-5, 0) == FIX_MIN && fix_ratio(0, 0) == 0); }
TEST(ratio_of_zero) { CHECK(fix_ratio(0, 5) == 0); }
TEST(ratios_saturate) { CHECK(fix_ratio(100000, 3) == FIX_MAX && fix_ratio(-100000, 3) == FIX_MIN); }
TEST(ratios_at_the_top) { CHECK(fix_ratio(65535, 2) == 32767 * FIX_ONE + FIX_ONE / 2); }
TEST(ratios_at_the_bottom) { CHECK(fix_ratio(-65536, 2) == FIX_MIN && fix_ratio(-65535, 2) == -2147450880); }
TEST(ratios_just_too_big) { CHECK(fix_ratio(32768, 1) == FIX_MAX && fix_ratio(INT64_C(3276800000), 100001) == 2147462173); }
TEST(sums_at_the_ends) { CHECK(fix_add(FIX_MAX, 1) == FIX_MAX && fix_add(FIX_MIN, -1) == FIX_MIN); }
TEST(sums_inside) { CHECK(fix_add(FIX_MAX, -1) == FIX_MAX - 1 && fix_add(FIX_MIN, 1) == FIX_MIN + 1); }
TEST(differences_saturate) { CHECK(fix_sub(FIX_MIN, 1) == FIX_MIN && fix_sub(FIX_MAX, -1) == FIX_MAX); }
TEST(products_round) { CHECK(fix_mul(1, FIX_ONE / 2) == 1 && fix_mul(-1, FIX_ONE / 2) == -1); }
TEST(products_round_down) { CHECK(fix_mul(1, FIX_ONE / 2 - 1) == 0 && fix_mul(-1, FIX_ONE / 2 - 1) == 0); }
TEST(products_saturate) { CHECK(fix_mul(fix_of(200), fix_of(200)) == FIX_MAX && fix_mul(fix_of(200), fix_of(-200)) == FIX_MIN); }
TEST(products_of_the_ends) { CHECK(fix_mul(FIX_MIN, FIX_MIN) == FIX_MAX && fix_mul(FIX_MIN, FIX_MAX) == FIX_MIN); }
TEST(quotients_round) { CHECK(fix_div(FIX_ONE, fix_of(3)) == 21845 && fix_div(fix_of(-2), fix_of(3)) == -43691); }
TEST(quotients_by_zero) { CHECK(fix_div(1, 0) == FIX_MAX && fix_div(-1, 0) == FIX_MIN && fix_div(0, 0) == 0); }
TEST(quotients_saturate) { CHECK(fix_div(fix_of(1000), 1000) == FIX_MAX && fix_div(FIX_MIN, -FIX_ONE) == FIX_MAX); }
TEST(distance_of_the_least) { CHECK(fix_abs(FIX_MIN) == FIX_MAX && fix_abs(0) == 0 && fix_abs(-1) == 1); }
TEST(clamps_inside) { CHECK(fix_clamp(5, 5, 9) == 5 && fix_clamp(7, 5, 9) == 7 && fix_clamp(9, 5, 9) == 9); }
TEST(clamps_outside) { CHECK(fix_clamp(4, 5, 9) == 5 && fix_clamp(10, 5, 9) == 9); }
TEST(clamps_to_nothing) { CHECK(fix_clamp(7, 9, 5) == 9 && fix_clamp(99, 9, 5) == 9); }
TEST(floors_of_wholes) { CHECK(fix_floor(fix_of(3)) == 3 && fix_floor(fix_of(-3)) == -3 && fix_floor(0) == 0); }
TEST(floors_near_wholes) { CHECK(fix_floor(-1) == -1 && fix_floor(1) == 0 && fix_floor(fix_of(4) - 1) == 3); }
TEST(ceilings_of_wholes) { CHECK(fix_ceil(fix_of(3)) == 3 && fix_ceil(fix_of(-3)) == -3 && fix_ceil(0) == 0); }
TEST(ceilings_near_wholes) { CHECK(fix_ceil(1) == 1 && fix_ceil(-1) == 0 && fix_ceil(fix_of(4) + 1) == 5); }
TEST(rounds_halves_away) { CHECK(fix_round(fix_of(2) + 32768) == 3 && fix_round(fix_of(-2) - 32768) == -3); }
TEST(rounds_below_halves) { CHECK(fix_round(fix_of(2) + 32767) == 2 && fix_round(fix_of(-2) - 32767) == -2); }
TEST(remainders_take_the_sign) { CHECK(fix_mod(-7, 3) == 2 && fix_mod(7, -3) == -2 && fix_mod(-7, -3) == -1); }
TEST(remainders_of_multiples) { CHECK(fix_mod(-6, 3) == 0 && fix_mod(6, -3) == 0 && fix_mod(0, 3) == 0); }
TEST(remainders_of_nothing) { CHECK(fix_mod(5, 0) == 0 && fix_mod(FIX_MIN, -1) == 0); }
TEST(roots_round_down) { CHECK(fix_sqrt(fix_of(2)) == 92681 && fix_sqrt(FIX_MAX) == 11863283); }
TEST(roots_of_little) { CHECK(fix_sqrt(0) == 0 && fix_sqrt(1) == 256 && fix_sqrt(-1) == 0 && fix_sqrt(FIX_MIN) == 0); }
TEST(lengths_of_long_ways) { CHECK(fix_length(FIX_MIN, FIX_MIN) == FIX_MAX && fix_length(FIX_MIN, 0) == FIX_MAX); }
TEST(lengths_of_any_sign) { CHECK(fix_length(-3, 4) == 5 && fix_length(3, -4) == 5 && fix_length(0, -7) == 7); }
TEST(lengths_round_down) { CHECK(fix_length(1, 1) == 1 && fix_length(2, 2) == 2 && fix_length(10, 10) == 14); }
TEST(small_powers) { CHECK(fix_pow(fix_of(7), 0) == FIX_ONE && fix_pow(fix_of(7), 1) == fix_of(7) && fix_pow(0, 0) == FIX_ONE); }
TEST(odd_powers) { CHECK(fix_pow(fix_of(-3), 3) == fix_of(-27) && fix_pow(fix_of(3), 7) == fix_of(2187)); }
TEST(negative_powers) { CHECK(fix_pow(fix_of(2), -3) == FIX_ONE / 8 && fix_pow(0, -1) == FIX_MAX); }
TEST(powers_saturate) { CHECK(fix_pow(fix_of(10), 9) == FIX_MAX && fix_pow(fix_of(-10), 9) == FIX_MIN); }
TEST(lerps_at_the_ends) { CHECK(fix_lerp(3, 9, 0) == 3 && fix_lerp(3, 9, FIX_ONE) == 9 && fix_lerp(FIX_MIN, FIX_MAX, FIX_ONE) == FIX_MAX); }
TEST(lerps_outside) { CHECK(fix_lerp(3, 9, -5) == 3 && fix_lerp(3, 9, FIX_ONE + 5) == 9); }
TEST(lerps_down) { CHECK(fix_lerp(fix_of(20), fix_of(-20), FIX_ONE / 4) == fix_of(10)); }
TEST(lerps_far_apart) { CHECK(fix_lerp(FIX_MIN, FIX_MAX, FIX_ONE / 2) == -1); }

TEST(curves_of_nothing) {
    fix_point point = {5, 7};
    CHECK(fix_curve(&point, 0, 5) == 0);
    CHECK(fix_curve(&point, 1, 4) == 7 && fix_curve(&point, 1, 5) == 7 && fix_curve(&point, 1, 6) == 7);
}

TEST(curves_outside) {
    fix_point points[] = {{100, 10}, {200, 30}};
    CHECK(fix_curve(points, 2, 99) == 10 && fix_curve(points, 2, 201) == 30 && fix_curve(points, 2, 100) == 10 &&
          fix_curve(points, 2, 200) == 30);
}

TEST(curves_at_and_between_points) {
    fix_point points[] = {{0, 0}, {100, 50}, {200, 0}, {400, 1000}, {500, -1000}};
    CHECK(fix_curve(points, 5, 100) == 50 && fix_curve(points, 5, 200) == 0 && fix_curve(points, 5, 400) == 1000);
    CHECK(fix_curve(points, 5, 20) == 10 && fix_curve(points, 5, 150) == 25 && fix_curve(points, 5, 300) == 500);
    CHECK(fix_curve(points, 5, 450) == 0 && fix_curve(points, 5, 475) == -500);
}

TEST(curves_over_the_whole_range) {
    fix_point points[] = {{FIX_MIN, 0}, {FIX_MAX, 1000}};
    CHECK(fix_curve(points, 2, 0) == 500);
}

TEST(prints_wholes) { CHECK(prints(fix_of(-7), 0, "-7") && prints(0, 0, "0") && prints(0, 2, "0.00")); }
TEST(prints_small_parts) { CHECK(prints(1, 9, "0.000015259") && prints(fix_of(1) + 656, 4, "1.0100")); }
TEST(prints_carries) { CHECK(prints(fix_of(10) - 1, 2, "10.00") && prints(-fix_of(10) + 1, 1, "-10.0")); }
TEST(prints_halves_away) { CHECK(prints(FIX_ONE / 2, 0, "1") && prints(-FIX_ONE / 2, 0, "-1") && prints(FIX_ONE / 2 - 1, 0, "0")); }
TEST(prints_no_minus_zero) { CHECK(prints(-1, 2, "0.00") && prints(-1, 9, "-0.000015259")); }
TEST(prints_the_ends) { CHECK(prints(FIX_MAX, 5, "32767.99998") && prints(FIX_MIN, 1, "-32768.0")); }
TEST(prints_cut_places) { CHECK(prints(FIX_ONE / 2, 20, "0.500000000") && prints(FIX_ONE, -3, "1")); }
TEST(prints_as_short_as_it_reads) { CHECK(prints_short(fix_of(12), "12") && prints_short(FIX_ONE / 4, "0.25") && prints_short(-FIX_ONE / 2, "-0.5")); }
TEST(prints_short_parts) { CHECK(prints_short(1, "0.00002") && prints_short(fix_ratio(1, 10), "0.1") && prints_short(FIX_MAX, "32767.99998")); }

TEST(reads_what_it_prints) {
    for (fix a = -70000; a <= 70000; a += 37) {
        char out[FIX_TEXT];
        fix_print_short(a, out);
        CHECK(reads(out, a));
    }
}

TEST(parses_points) { CHECK(reads("7.", fix_of(7)) && reads(".5", FIX_ONE / 2) && reads("+.25", FIX_ONE / 4)); }
TEST(parses_signs) { CHECK(reads("+3", fix_of(3)) && reads("-3", fix_of(-3)) && reads("-0", 0)); }
TEST(parses_zeros) { CHECK(reads("0007", fix_of(7)) && reads("0.500000000000000", FIX_ONE / 2)); }
TEST(parses_rounded) { CHECK(reads("0.00001", 1) && reads("-0.00001", -1) && reads("0.000007", 0) && reads("-0.000007", 0)); }
TEST(parses_exact_halves) { CHECK(reads("0.000022889", 2) && reads("0.000022888", 1) && reads("0.5", 32768)); }
TEST(ignores_far_places) { CHECK(reads("0.1234567899999", 8091) && reads("1.00000000099999", FIX_ONE)); }
TEST(parses_the_ends) { CHECK(reads("32767.99998", FIX_MAX) && reads("-32768", FIX_MIN)); }
TEST(refuses_what_is_out_of_range) { CHECK(refuses("32768") && refuses("-32768.1") && refuses("99999999999999999999") && refuses("-32769")); }
TEST(refuses_rounded_out_of_range) { CHECK(refuses("32767.999999999") && refuses("40000.1") && refuses("39999")); }
TEST(refuses_no_digits) { CHECK(refuses("") && refuses("-") && refuses(".") && refuses("+.")); }
TEST(refuses_other_texts) { CHECK(refuses("1.2.3") && refuses("--1") && refuses("1 ") && refuses("1e3") && refuses("1/2") && refuses("1:")); }
