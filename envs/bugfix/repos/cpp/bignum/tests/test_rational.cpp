#include "bignum/rational.hpp"

#include <stdexcept>

#include "check.hpp"

using namespace bignum;

static std::string sum(const char* a, const char* b) { return (Rational::parse(a) + Rational::parse(b)).text(); }

TEST(integers_have_signs) {
    CHECK(Integer(-5).text() == "-5");
    CHECK(Integer::parse("-0").text() == "0");
    CHECK(Integer::parse("+7") == Integer(7));
}

TEST(integers_add_and_subtract) {
    CHECK(Integer(5) + Integer(-8) == Integer(-3));
    CHECK(Integer(-5) - Integer(-8) == Integer(3));
}

TEST(integers_divide_downwards) {
    auto [quotient, rest] = Integer(-7).divide(Integer(2));
    CHECK(quotient == Integer(-4) && rest == Integer(1));
}

TEST(integers_are_ordered) {
    CHECK(Integer(-5) < Integer(-4));
    CHECK(Integer(-1) < Integer(0));
}

TEST(powers_modulo) { CHECK(power_modulo(3, 200, 13) == Integer(9)); }

TEST(lowest_terms) {
    CHECK(Rational(6, -8).text() == "-3/4");
    CHECK(Rational(4, 2).text() == "2");
}

TEST(zero_denominators) { CHECK_THROWS(std::domain_error, Rational(1, 0)); }

TEST(sums) {
    CHECK(sum("1/2", "1/3") == "5/6");
    CHECK(sum("0.25", "-1/4") == "0");
}

TEST(quotients) { CHECK((Rational(2, 3) / Rational(-4, 9)).text() == "-3/2"); }

TEST(decimals) {
    CHECK(Rational(1, 3).decimal(4) == "0.3333");
    CHECK(Rational(2, 3).decimal(2) == "0.67");
    CHECK(Rational(-5, 2).decimal(1) == "-2.5");
}

TEST(floors_and_ceilings) {
    CHECK(Rational(-7, 2).floor() == Integer(-4));
    CHECK(Rational(-7, 2).ceiling() == Integer(-3));
}

TEST(continued_fractions) {
    std::vector<Integer> terms = continued_fraction(Rational(415, 93));
    CHECK(terms == std::vector<Integer>{4, 2, 6, 7});
    CHECK(from_continued_fraction(terms) == Rational(415, 93));
}
