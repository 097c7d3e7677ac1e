#include "bignum/rational.hpp"

#include <cstdint>
#include <stdexcept>

#include "check.hpp"

using namespace bignum;

static std::string decimal(const char* text, unsigned places) { return Rational::parse(text).decimal(places); }

TEST(the_smallest_word) {
    CHECK(Integer(INT64_MIN).text() == "-9223372036854775808");
    CHECK(Integer(INT64_MAX).text() == "9223372036854775807");
}

TEST(one_zero) {
    CHECK(!Integer(Natural(0), true).is_negative());
    CHECK(Integer(0).negated() == Integer(0));
    CHECK(Integer(3) - Integer(3) == Integer::parse("-0"));
    CHECK(!(Integer(-3) * Integer(0)).is_negative());
}

TEST(signs) {
    CHECK(Integer(-3).sign() == -1);
    CHECK(Integer(0).sign() == 0);
    CHECK(Integer(3).sign() == 1);
}

TEST(parsing_signs) {
    CHECK_THROWS(std::invalid_argument, Integer::parse(""));
    CHECK_THROWS(std::invalid_argument, Integer::parse("-"));
    CHECK_THROWS(std::invalid_argument, Integer::parse("--1"));
    CHECK(Integer::parse("-12345678901234567890").text() == "-12345678901234567890");
    CHECK(Integer::parse("5") == Integer(5));
}

TEST(sums_of_all_signs) {
    CHECK(Integer(5) + Integer(8) == Integer(13));
    CHECK(Integer(-5) + Integer(-8) == Integer(-13));
    CHECK(Integer(-5) + Integer(8) == Integer(3));
    CHECK(Integer(8) + Integer(-5) == Integer(3));
    CHECK(Integer(-8) + Integer(5) == Integer(-3));
    CHECK(Integer(5) - Integer(8) == Integer(-3));
}

TEST(products_of_all_signs) {
    CHECK(Integer(-3) * Integer(4) == Integer(-12));
    CHECK(Integer(-3) * Integer(-4) == Integer(12));
    CHECK(Integer(3) * Integer(-4) == Integer(-12));
}

TEST(quotients_of_all_signs) {
    for (int a : {-7, -6, 0, 6, 7}) {
        for (int b : {-3, -2, 2, 3}) {
            auto [quotient, rest] = Integer(a).divide(Integer(b));
            CHECK(quotient * Integer(b) + rest == Integer(a));
            CHECK(rest.sign() == 0 || rest.is_negative() == (b < 0));
            CHECK(rest.size().compare(Integer(b).size()) < 0);
        }
    }
}

TEST(exact_quotients_are_not_rounded) {
    CHECK(Integer(-6).divide(Integer(3)).first == Integer(-2));
    CHECK(Integer(6).divide(Integer(-3)).second == Integer(0));
    CHECK_THROWS(std::domain_error, Integer(1).divide(Integer(0)));
}

TEST(order_of_all_signs) {
    CHECK(!(Integer(4) < Integer(4)));
    CHECK(Integer(4) < Integer(5));
    CHECK(!(Integer(5) < Integer(-6)));
    CHECK(Integer(-6) < Integer(5));
    CHECK(!(Integer(-4) < Integer(-5)));
    CHECK(Integer(3) != Integer(-3));
}

TEST(powers_modulo_edges) {
    CHECK(power_modulo(5, 0, 7) == Integer(1));
    CHECK(power_modulo(5, 0, 1) == Integer(0));
    CHECK(power_modulo(-2, 3, 7) == Integer(6));
    CHECK(power_modulo(10, 1, 7) == Integer(3));
    CHECK(power_modulo(2, Integer::parse("1000000000000"), 1000007) == Integer(264620));
    CHECK_THROWS(std::domain_error, power_modulo(2, -1, 7));
    CHECK_THROWS(std::domain_error, power_modulo(2, 1, 0));
    CHECK_THROWS(std::domain_error, power_modulo(2, 1, -7));
}

TEST(reduced_signs) {
    CHECK(Rational(-6, -8).text() == "3/4");
    CHECK(Rational(0, -5).denominator() == Integer(1));
    CHECK(Rational(0, -5).text() == "0");
    CHECK(Rational(-4, 6).numerator() == Integer(-2));
    CHECK(Rational(7).text() == "7");
}

TEST(parsing_fractions) {
    CHECK(Rational::parse("-6/8").text() == "-3/4");
    CHECK(Rational::parse("12").text() == "12");
    CHECK_THROWS(std::invalid_argument, Rational::parse("1/-2"));
    CHECK_THROWS(std::invalid_argument, Rational::parse("1/"));
    CHECK_THROWS(std::domain_error, Rational::parse("1/0"));
    CHECK_THROWS(std::invalid_argument, Rational::parse(""));
}

TEST(parsing_decimals) {
    CHECK(Rational::parse("0.125").text() == "1/8");
    CHECK(Rational::parse("-0.5").text() == "-1/2");
    CHECK(Rational::parse("-12.050").text() == "-241/20");
    CHECK(Rational::parse(".5").text() == "1/2");
    CHECK_THROWS(std::invalid_argument, Rational::parse("1."));
    CHECK_THROWS(std::invalid_argument, Rational::parse("1.-5"));
    CHECK_THROWS(std::invalid_argument, Rational::parse("1.2.3"));
}

TEST(differences_and_products) {
    CHECK((Rational(1, 2) - Rational(1, 3)).text() == "1/6");
    CHECK((Rational(1, 3) - Rational(1, 2)).text() == "-1/6");
    CHECK((Rational(2, 3) * Rational(3, 4)).text() == "1/2");
    CHECK((Rational(3, 4) + Rational(1, 4)).text() == "1");
}

TEST(division_by_zero) {
    CHECK_THROWS(std::domain_error, Rational(1, 2) / Rational(0));
    CHECK_THROWS(std::domain_error, Rational(0).inverse());
}

TEST(inverses_keep_the_sign) { CHECK(Rational(-2, 3).inverse().text() == "-3/2"); }

TEST(comparing_fractions) {
    CHECK(Rational(1, 3) < Rational(1, 2));
    CHECK(Rational(-1, 2) < Rational(-1, 3));
    CHECK(!(Rational(2, 4) < Rational(1, 2)));
    CHECK(Rational(2, 4) == Rational(1, 2));
    CHECK(Rational(3, 2).compare(Rational(2, 3)) > 0);
}

TEST(decimals_round_halves_away) {
    CHECK(decimal("0.125", 2) == "0.13");
    CHECK(decimal("-0.125", 2) == "-0.13");
    CHECK(decimal("0.124", 2) == "0.12");
    CHECK(decimal("2.5", 0) == "3");
    CHECK(decimal("0.5", 0) == "1");
    CHECK(decimal("0.4", 0) == "0");
}

TEST(decimals_carry_into_the_whole) {
    CHECK(decimal("9.99", 1) == "10.0");
    CHECK(decimal("0.999", 2) == "1.00");
}

TEST(decimals_are_padded) {
    CHECK(decimal("3", 2) == "3.00");
    CHECK(decimal("1/1000", 3) == "0.001");
    CHECK(decimal("12345/100", 3) == "123.450");
    CHECK(decimal("0", 2) == "0.00");
}

TEST(decimals_have_no_negative_zero) {
    CHECK(decimal("-1/1000", 2) == "0.00");
    CHECK(decimal("-0.4", 0) == "0");
}

TEST(floors_of_all_signs) {
    CHECK(Rational(7, 2).floor() == Integer(3));
    CHECK(Rational(7, 2).ceiling() == Integer(4));
    CHECK(Rational(4).floor() == Integer(4));
    CHECK(Rational(4).ceiling() == Integer(4));
    CHECK(Rational(-4).floor() == Integer(-4));
    CHECK(Rational(-1, 3).ceiling() == Integer(0));
}

TEST(terms_of_whole_numbers) {
    CHECK(continued_fraction(Rational(5)) == std::vector<Integer>{5});
    CHECK(continued_fraction(Rational(0)) == std::vector<Integer>{0});
}

TEST(terms_of_small_and_negative_fractions) {
    CHECK(continued_fraction(Rational(1, 3)) == std::vector<Integer>{0, 3});
    CHECK(continued_fraction(Rational(-7, 3)) == std::vector<Integer>{-3, 1, 2});
}

TEST(fractions_of_terms) {
    CHECK(from_continued_fraction({3, 7, 15, 1}).text() == "355/113");
    CHECK(from_continued_fraction({-3, 1, 2}).text() == "-7/3");
    CHECK_THROWS(std::invalid_argument, from_continued_fraction({}));
}
