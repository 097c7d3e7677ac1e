#include "bignum/integer.hpp"

#include <stdexcept>

namespace bignum {

Integer::Integer(std::int64_t value)
    : size_(value < 0 ? ~static_cast<std::uint64_t>(value) + 1 : static_cast<std::uint64_t>(value)), negative_(value < 0) {}

Integer::Integer(Natural size, bool negative) : size_(std::move(size)), negative_(negative && !size_.is_zero()) {}

Integer Integer::parse(const std::string& text) {
    bool has_sign = !text.empty() && (text[0] == '-' || text[0] == '+');
    return Integer(Natural::parse(has_sign ? text.substr(1) : text), has_sign && text[0] == '-');
}

std::string Integer::text() const { return (negative_ ? "-" : "") + size_.text(); }

int Integer::sign() const {
    if (size_.is_zero()) return 0;
    return negative_ ? -1 : 1;
}

int Integer::compare(const Integer& other) const {
    if (negative_ != other.negative_) return negative_ ? -1 : 1;
    return negative_ ? other.size_.compare(size_) : size_.compare(other.size_);
}

std::pair<Integer, Integer> Integer::divide(const Integer& divisor) const {
    auto [quotient, rest] = size_.divide(divisor.size_);
    if (negative_ != divisor.negative_ && !rest.is_zero()) {
        quotient = quotient.plus(Natural(1));
        rest = divisor.size_.minus(rest);
    }
    return {Integer(quotient, negative_ != divisor.negative_), Integer(rest, divisor.negative_)};
}

Integer operator+(const Integer& a, const Integer& b) {
    if (a.is_negative() == b.is_negative()) return Integer(a.size().plus(b.size()), a.is_negative());
    if (a.size().compare(b.size()) >= 0) return Integer(a.size().minus(b.size()), a.is_negative());
    return Integer(b.size().minus(a.size()), b.is_negative());
}

Integer operator-(const Integer& a, const Integer& b) { return a + b.negated(); }

Integer operator*(const Integer& a, const Integer& b) {
    return Integer(a.size().times(b.size()), a.is_negative() != b.is_negative());
}

Integer power_modulo(Integer base, Integer exponent, const Integer& modulus) {
    if (exponent.is_negative()) throw std::domain_error("a negative exponent: " + exponent.text());
    if (modulus.sign() < 1) throw std::domain_error("a modulus below 1: " + modulus.text());
    Integer result = Integer(1).divide(modulus).second;
    base = base.divide(modulus).second;
    while (exponent.sign() > 0) {
        auto [half, odd] = exponent.divide(Integer(2));
        if (odd.sign() > 0) result = (result * base).divide(modulus).second;
        base = (base * base).divide(modulus).second;
        exponent = half;
    }
    return result;
}

}  // namespace bignum
