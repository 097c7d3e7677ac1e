#include "bignum/natural.hpp"

#include <stdexcept>

#include "check.hpp"

using namespace bignum;

static Natural n(const char* digits) { return Natural::parse(digits); }

TEST(limbs_keep_their_zeros) { CHECK(n("5000000000000000007").text() == "5000000000000000007"); }

TEST(words_of_several_limbs) { CHECK(Natural(1'000'000'000'000'000'000).text() == "1000000000000000000"); }

TEST(nine_and_ten_digits) {
    CHECK(n("999999999").text() == "999999999");
    CHECK(n("1234567890").text() == "1234567890");
    CHECK(n("000000000").is_zero());
}

TEST(signs_are_no_digits) {
    CHECK_THROWS(std::invalid_argument, n("-1"));
    CHECK_THROWS(std::invalid_argument, n(" 1"));
    CHECK_THROWS(std::invalid_argument, n("1:"));
    CHECK_THROWS(std::invalid_argument, n("1/"));
}

TEST(digit_counts) {
    CHECK(Natural(0).digits() == 1);
    CHECK(Natural(9).digits() == 1);
    CHECK(Natural(10).digits() == 2);
    CHECK(n("999999999").digits() == 9);
    CHECK(n("1000000000").digits() == 10);
    CHECK(n("123456789012345678901234567890").digits() == 30);
}

TEST(parity) {
    CHECK(Natural(0).is_even());
    CHECK(!Natural(1).is_even());
    CHECK(n("10000000000").is_even());
    CHECK(!n("20000000001").is_even());
}

TEST(order_by_the_highest_limb) {
    CHECK(n("2000000000000000001").compare(n("1000000000000000009")) > 0);
    CHECK(n("1000000000000000009").compare(n("2000000000000000001")) < 0);
    CHECK(n("1000000000000000001").compare(n("1000000000000000002")) < 0);
    CHECK(n("999999999").compare(n("1000000000")) < 0);
}

TEST(sums_of_different_lengths) {
    CHECK(n("1").plus(n("999999999999999999")).text() == "1000000000000000000");
    CHECK(n("999999999999999999").plus(n("1")).text() == "1000000000000000000");
    CHECK(Natural(0).plus(Natural(0)).is_zero());
}

TEST(sums_carry_once) { CHECK(n("1999999999").plus(n("1999999999")).text() == "3999999998"); }

TEST(differences_borrow_through) { CHECK(n("1000000000000000000").minus(n("1")).text() == "999999999999999999"); }

TEST(differences_are_trimmed) {
    CHECK(n("1000000000").minus(n("1000000000")).is_zero());
    CHECK(n("5000000000").minus(n("4999999999")).compare(Natural(1)) == 0);
}

TEST(differences_without_borrow) { CHECK(n("3000000005").minus(n("1000000005")).text() == "2000000000"); }

TEST(products_with_zero) {
    CHECK(n("12345678901234567890").times(Natural(0)).is_zero());
    CHECK(Natural(0).times(n("12345678901234567890")).text() == "0");
}

TEST(products_of_full_limbs) {
    CHECK(n("999999999999999999").times(n("999999999999999999")).text() == "999999999999999998000000000000000001");
}

TEST(products_of_different_lengths) {
    CHECK(n("1000000001").times(n("7")).text() == "7000000007");
    CHECK(n("7").times(n("1000000001")).text() == "7000000007");
}

TEST(quotients_come_back) {
    const char* divisors[] = {"1", "2", "999999999", "1000000000", "1000000001", "98765432109876543210", "5000000000"};
    Natural value = n("98765432109876543210123456789");
    for (const char* digits : divisors) {
        auto [quotient, rest] = value.divide(n(digits));
        CHECK(rest.compare(n(digits)) < 0);
        CHECK(quotient.times(n(digits)).plus(rest).compare(value) == 0);
    }
}

TEST(quotients_of_smaller_numbers) {
    auto [quotient, rest] = n("5").divide(n("12345678901"));
    CHECK(quotient.is_zero());
    CHECK(rest.text() == "5");
}

TEST(quotients_of_equal_numbers) {
    auto [quotient, rest] = n("12345678901").divide(n("12345678901"));
    CHECK(quotient.text() == "1");
    CHECK(rest.is_zero());
}

TEST(quotients_with_zeros_inside) {
    auto [quotient, rest] = n("3000000000000000000006").divide(n("3"));
    CHECK(quotient.text() == "1000000000000000000002");
    CHECK(rest.is_zero());
}

TEST(small_powers) {
    CHECK(power(Natural(0), 0).text() == "1");
    CHECK(power(Natural(7), 0).text() == "1");
    CHECK(power(Natural(7), 1).text() == "7");
    CHECK(power(Natural(0), 5).text() == "0");
    CHECK(power(Natural(3), 5).text() == "243");
    CHECK(power(Natural(10), 27).text() == "1000000000000000000000000000");
}

TEST(divisors_with_zero) {
    CHECK(gcd(Natural(0), Natural(5)).text() == "5");
    CHECK(gcd(Natural(5), Natural(0)).text() == "5");
    CHECK(gcd(Natural(0), Natural(0)).is_zero());
}

TEST(divisors_in_any_order) {
    CHECK(gcd(Natural(36), Natural(48)).text() == "12");
    CHECK(gcd(factorial(20), power(Natural(2), 80)).text() == "262144");
    CHECK(gcd(Natural(17), Natural(13)).text() == "1");
}

TEST(roots_around_squares) {
    CHECK(square_root(Natural(0)).text() == "0");
    CHECK(square_root(Natural(1)).text() == "1");
    CHECK(square_root(Natural(3)).text() == "1");
    CHECK(square_root(Natural(4)).text() == "2");
    CHECK(square_root(Natural(99)).text() == "9");
    CHECK(square_root(Natural(100)).text() == "10");
}

TEST(roots_of_large_squares) {
    Natural root = n("99999999999999999999");
    Natural square = root.times(root);
    CHECK(square_root(square).compare(root) == 0);
    CHECK(square_root(square.minus(Natural(1))).compare(root) < 0);
    CHECK(square_root(square.plus(Natural(1))).compare(root) == 0);
}

TEST(small_factorials) {
    CHECK(factorial(0).text() == "1");
    CHECK(factorial(1).text() == "1");
    CHECK(factorial(5).text() == "120");
    CHECK(factorial(25).text() == "15511210043330985984000000");
}
