#include "bignum/rational.hpp"

#include <stdexcept>

namespace bignum {

Rational::Rational(Integer numerator, Integer denominator)
    : numerator_(std::move(numerator)), denominator_(std::move(denominator)) {
    if (denominator_.sign() == 0) throw std::domain_error("the denominator of " + numerator_.text() + "/0");
    Integer common(gcd(numerator_.size(), denominator_.size()), denominator_.is_negative());
    numerator_ = numerator_.divide(common).first;
    denominator_ = denominator_.divide(common).first;
}

Rational Rational::parse(const std::string& text) {
    if (std::size_t slash = text.find('/'); slash != std::string::npos) {
        return Rational(Integer::parse(text.substr(0, slash)), Integer(Natural::parse(text.substr(slash + 1)), false));
    }
    std::size_t point = text.find('.');
    if (point == std::string::npos) return Rational(Integer::parse(text));
    std::string places = text.substr(point + 1);
    Natural::parse(places);  // at least one digit, and nothing else
    Natural scale = power(Natural(10), static_cast<unsigned>(places.size()));
    return Rational(Integer::parse(text.substr(0, point) + places), Integer(scale, false));
}

std::string Rational::text() const {
    return denominator_ == Integer(1) ? numerator_.text() : numerator_.text() + "/" + denominator_.text();
}

std::string Rational::decimal(unsigned places) const {
    Natural scaled = numerator_.size().times(power(Natural(10), places));
    auto [whole, rest] = scaled.divide(denominator_.size());
    if (rest.times(Natural(2)).compare(denominator_.size()) >= 0) whole = whole.plus(Natural(1));
    std::string digits = whole.text();
    if (digits.size() <= places) digits.insert(0, places + 1 - digits.size(), '0');
    if (places > 0) digits.insert(digits.size() - places, ".");
    return (numerator_.is_negative() && !whole.is_zero() ? "-" : "") + digits;
}

int Rational::compare(const Rational& other) const {
    return (numerator_ * other.denominator_).compare(other.numerator_ * denominator_);
}

Integer Rational::floor() const { return numerator_.divide(denominator_).first; }

Integer Rational::ceiling() const { return numerator_.negated().divide(denominator_).first.negated(); }

Rational Rational::inverse() const { return Rational(denominator_, numerator_); }

Rational operator+(const Rational& a, const Rational& b) {
    return Rational(a.numerator() * b.denominator() + b.numerator() * a.denominator(), a.denominator() * b.denominator());
}

Rational operator-(const Rational& a, const Rational& b) {
    return a + Rational(b.numerator().negated(), b.denominator());
}

Rational operator*(const Rational& a, const Rational& b) {
    return Rational(a.numerator() * b.numerator(), a.denominator() * b.denominator());
}

Rational operator/(const Rational& a, const Rational& b) { return a * b.inverse(); }

std::vector<Integer> continued_fraction(const Rational& value) {
    std::vector<Integer> terms{value.floor()};
    for (Rational rest = value - Rational(terms[0]); rest.numerator().sign() != 0;) {
        rest = rest.inverse();
        terms.push_back(rest.floor());
        rest = rest - Rational(terms.back());
    }
    return terms;
}

Rational from_continued_fraction(const std::vector<Integer>& terms) {
    if (terms.empty()) throw std::invalid_argument("a continued fraction needs a term");
    Rational value(terms.back());
    for (std::size_t i = terms.size() - 1; i-- > 0;) value = Rational(terms[i]) + value.inverse();
    return value;
}

}  // namespace bignum
