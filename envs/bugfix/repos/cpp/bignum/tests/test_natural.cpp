#include "bignum/natural.hpp"

#include <stdexcept>

#include "check.hpp"

using namespace bignum;

static const Natural kBig = Natural::parse("123456789012345678901234567890");

TEST(text_of_words) {
    CHECK(Natural().text() == "0");
    CHECK(Natural(1'000'000'000).text() == "1000000000");
    CHECK(Natural(18446744073709551615u).text() == "18446744073709551615");
}

TEST(parse_and_text) { CHECK(kBig.text() == "123456789012345678901234567890"); }

TEST(parse_drops_leading_zeros) { CHECK(Natural::parse("000000000000042").text() == "42"); }

TEST(parse_refuses_other_characters) {
    CHECK_THROWS(std::invalid_argument, Natural::parse(""));
    CHECK_THROWS(std::invalid_argument, Natural::parse("12a"));
}

TEST(plus_carries) { CHECK(Natural(999'999'999).plus(Natural(1)).text() == "1000000000"); }

TEST(minus_borrows) { CHECK(Natural(1'000'000'000).minus(Natural(1)).text() == "999999999"); }

TEST(minus_refuses_the_larger) { CHECK_THROWS(std::underflow_error, Natural(1).minus(Natural(2))); }

TEST(times) { CHECK(kBig.times(kBig).text() == "15241578753238836750495351562536198787501905199875019052100"); }

TEST(divide) {
    auto [quotient, rest] = kBig.divide(Natural(987654321));
    CHECK(quotient.text() == "124999998873437499901");
    CHECK(rest.text() == "574845669");
}

TEST(divide_by_zero) { CHECK_THROWS(std::domain_error, kBig.divide(Natural(0))); }

TEST(compare) {
    CHECK(Natural(1).compare(Natural(2)) < 0);
    CHECK(kBig.compare(Natural(2)) > 0);
    CHECK(kBig.compare(kBig) == 0);
}

TEST(powers) { CHECK(power(Natural(2), 100).text() == "1267650600228229401496703205376"); }

TEST(common_divisors) { CHECK(gcd(Natural(48), Natural(36)).text() == "12"); }

TEST(roots) { CHECK(square_root(kBig).text() == "351364182882014"); }

TEST(factorials) { CHECK(factorial(20).text() == "2432902008176640000"); }
