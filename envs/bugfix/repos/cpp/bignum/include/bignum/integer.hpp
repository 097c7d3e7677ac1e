#pragma once

#include "bignum/natural.hpp"

namespace bignum {

/// A whole number of any size with a sign; there is one zero, and it is not negative.
class Integer {
public:
    Integer(std::int64_t value = 0);
    Integer(Natural size, bool negative);

    /// The number of decimal digits after an optional '-' or '+'. Throws std::invalid_argument.
    static Integer parse(const std::string& text);

    std::string text() const;
    int compare(const Integer& other) const;

    const Natural& size() const { return size_; }
    bool is_negative() const { return negative_; }

    /// -1, 0 or 1.
    int sign() const;

    Integer negated() const { return Integer(size_, !negative_); }

    /// Quotient rounded down and a remainder with the sign of the divisor: -7 by 2 is -4, rest 1. Throws
    /// std::domain_error for 0.
    std::pair<Integer, Integer> divide(const Integer& divisor) const;

private:
    Natural size_;
    bool negative_;
};

Integer operator+(const Integer& a, const Integer& b);
Integer operator-(const Integer& a, const Integer& b);
Integer operator*(const Integer& a, const Integer& b);

inline bool operator==(const Integer& a, const Integer& b) { return a.compare(b) == 0; }
inline bool operator!=(const Integer& a, const Integer& b) { return a.compare(b) != 0; }
inline bool operator<(const Integer& a, const Integer& b) { return a.compare(b) < 0; }

/// `base` to the power `exponent`, modulo a positive number: from 0 to `modulus` - 1. Throws std::domain_error for a
/// negative exponent or a modulus below 1.
Integer power_modulo(Integer base, Integer exponent, const Integer& modulus);

}  // namespace bignum
