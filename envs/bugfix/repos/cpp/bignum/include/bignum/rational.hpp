#pragma once

#include "bignum/integer.hpp"

namespace bignum {

/// A fraction in lowest terms; the denominator is positive.
class Rational {
public:
    /// Throws std::domain_error for the denominator 0.
    Rational(Integer numerator = 0, Integer denominator = 1);

    /// A number such as "3", "-3/4" or "0.125". Throws std::invalid_argument, std::domain_error.
    static Rational parse(const std::string& text);

    const Integer& numerator() const { return numerator_; }
    const Integer& denominator() const { return denominator_; }

    /// "3", or "-3/4".
    std::string text() const;

    /// Decimal notation with this many places, rounded half away from zero: of 1/3 with 2 places "0.33". Zero has no
    /// sign, even where a negative number rounds to it.
    std::string decimal(unsigned places) const;

    int compare(const Rational& other) const;

    /// The largest whole number that is not more.
    Integer floor() const;
    /// The smallest whole number that is not less.
    Integer ceiling() const;

    /// 1 divided by this. Throws std::domain_error for 0.
    Rational inverse() const;

private:
    Integer numerator_, denominator_;
};

Rational operator+(const Rational& a, const Rational& b);
Rational operator-(const Rational& a, const Rational& b);
Rational operator*(const Rational& a, const Rational& b);
/// Throws std::domain_error for 0.
Rational operator/(const Rational& a, const Rational& b);

inline bool operator==(const Rational& a, const Rational& b) { return a.compare(b) == 0; }
inline bool operator<(const Rational& a, const Rational& b) { return a.compare(b) < 0; }

/// The terms of the continued fraction: of 415/93 they are 4, 2, 6, 7. Only the first may be negative or 0.
std::vector<Integer> continued_fraction(const Rational& value);

/// The fraction of these terms; the inverse of `continued_fraction`. Throws std::invalid_argument for no terms.
Rational from_continued_fraction(const std::vector<Integer>& terms);

}  // namespace bignum
