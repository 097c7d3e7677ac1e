#include <string.h>

#include "check.h"
#include "fix.h"
#include "fix_text.h"

static fix num(const char *text) {
    fix value = 0;
    if (!fix_parse(text, &value)) CHECK(!"a text of the test is wrong");
    return value;
}

static bool prints(const char *text, int places, const char *want) {
    char out[FIX_TEXT];
    return fix_print(num(text), places, out) == strlen(want) && strcmp(out, want) == 0;
}

TEST(whole_numbers) { CHECK(fix_of(3) == 3 * FIX_ONE && fix_of(-2) == -2 * FIX_ONE); }
TEST(ratios) { CHECK(fix_ratio(1, 2) == FIX_ONE / 2 && fix_ratio(-3, 4) == num("-0.75")); }
TEST(sums) { CHECK(fix_add(num("1.5"), num("2.25")) == num("3.75")); }
TEST(differences) { CHECK(fix_sub(num("1.5"), num("2.25")) == num("-0.75")); }
TEST(sums_saturate) { CHECK(fix_add(num("30000"), num("30000")) == FIX_MAX); }
TEST(products) { CHECK(fix_mul(num("1.5"), num("-2.5")) == num("-3.75")); }
TEST(quotients) { CHECK(fix_div(num("7"), num("2")) == num("3.5")); }
TEST(distance_from_zero) { CHECK(fix_abs(num("-4.5")) == num("4.5") && fix_abs(num("4.5")) == num("4.5")); }
TEST(clamped) { CHECK(fix_clamp(num("5"), 0, FIX_ONE) == FIX_ONE && fix_clamp(num("-5"), 0, FIX_ONE) == 0); }
TEST(floors) { CHECK(fix_floor(num("2.75")) == 2 && fix_floor(num("-2.75")) == -3); }
TEST(ceilings) { CHECK(fix_ceil(num("2.25")) == 3 && fix_ceil(num("-2.25")) == -2); }
TEST(rounds) { CHECK(fix_round(num("2.75")) == 3 && fix_round(num("-2.25")) == -2); }
TEST(remainders) { CHECK(fix_mod(num("7.5"), num("2")) == num("1.5")); }
TEST(square_roots) { CHECK(fix_sqrt(num("6.25")) == num("2.5")); }
TEST(lengths) { CHECK(fix_length(num("3"), num("4")) == num("5")); }
TEST(powers) { CHECK(fix_pow(num("2"), 10) == num("1024")); }
TEST(lerps) { CHECK(fix_lerp(num("10"), num("20"), num("0.25")) == num("12.5")); }
TEST(prints_decimals) { CHECK(prints("3.25", 2, "3.25")); }
TEST(prints_rounded) { CHECK(prints("3.25", 1, "3.3")); }
TEST(prints_negative) { CHECK(prints("-12.5", 3, "-12.500")); }

TEST(curves) {
    fix_point points[] = {{0, 0}, {num("10"), num("5")}, {num("20"), num("25")}};
    CHECK(fix_curve(points, 3, num("5")) == num("2.5") && fix_curve(points, 3, num("15")) == num("15"));
}

TEST(parses) {
    fix value;
    CHECK(fix_parse("1.5", &value) && value == FIX_ONE * 3 / 2);
    CHECK(!fix_parse("1.5x", &value));
}
