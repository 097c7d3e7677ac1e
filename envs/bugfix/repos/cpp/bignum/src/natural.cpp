#include "bignum/natural.hpp"

#include <algorithm>
#include <stdexcept>

namespace bignum {

Natural::Natural(std::uint64_t value) {
    for (; value > 0; value /= kBase) limbs_.push_back(static_cast<std::uint32_t>(value % kBase));
}

Natural Natural::parse(const std::string& digits) {
    if (digits.empty() || !std::all_of(digits.begin(), digits.end(), [](char c) { return '0' <= c && c <= '9'; })) {
        throw std::invalid_argument("not a number: '" + digits + "'");
    }
    Natural result;
    for (std::size_t end = digits.size(); end > 0;) {
        std::size_t start = end > kWidth ? end - kWidth : 0;
        std::uint32_t limb = 0;
        for (std::size_t i = start; i < end; i++) limb = limb * 10 + static_cast<std::uint32_t>(digits[i] - '0');
        result.limbs_.push_back(limb);
        end = start;
    }
    result.trim();
    return result;
}

std::string Natural::text() const {
    if (is_zero()) return "0";
    std::string result = std::to_string(limbs_.back());
    for (std::size_t i = limbs_.size() - 1; i-- > 0;) {
        std::string limb = std::to_string(limbs_[i]);
        result += std::string(kWidth - limb.size(), '0') + limb;
    }
    return result;
}

std::size_t Natural::digits() const {
    if (is_zero()) return 1;
    std::size_t count = (limbs_.size() - 1) * kWidth;
    for (std::uint32_t limb = limbs_.back(); limb > 0; limb /= 10) count++;
    return count;
}

int Natural::compare(const Natural& other) const {
    if (limbs_.size() != other.limbs_.size()) return limbs_.size() < other.limbs_.size() ? -1 : 1;
    for (std::size_t i = limbs_.size(); i-- > 0;) {
        if (limbs_[i] != other.limbs_[i]) return limbs_[i] < other.limbs_[i] ? -1 : 1;
    }
    return 0;
}

Natural Natural::plus(const Natural& other) const {
    if (limbs_.size() < other.limbs_.size()) return other.plus(*this);
    Natural result = *this;
    std::uint32_t carry = 0;
    for (std::size_t i = 0; i < limbs_.size(); i++) {
        std::uint32_t sum = limbs_[i] + carry + (i < other.limbs_.size() ? other.limbs_[i] : 0);
        result.limbs_[i] = sum % kBase;
        carry = sum / kBase;
    }
    if (carry > 0) result.limbs_.push_back(carry);
    return result;
}

Natural Natural::minus(const Natural& other) const {
    if (compare(other) < 0) throw std::underflow_error(text() + " - " + other.text() + " is negative");
    Natural result = *this;
    std::uint32_t borrow = 0;
    for (std::size_t i = 0; i < limbs_.size(); i++) {
        std::uint32_t taken = borrow + (i < other.limbs_.size() ? other.limbs_[i] : 0);
        borrow = limbs_[i] < taken ? 1 : 0;
        result.limbs_[i] = limbs_[i] + borrow * kBase - taken;
    }
    result.trim();
    return result;
}

Natural Natural::times(const Natural& other) const {
    Natural result;
    result.limbs_.assign(limbs_.size() + other.limbs_.size(), 0);
    for (std::size_t i = 0; i < limbs_.size(); i++) {
        std::uint64_t carry = 0;
        for (std::size_t j = 0; j < other.limbs_.size(); j++) {
            carry += result.limbs_[i + j] + std::uint64_t{limbs_[i]} * other.limbs_[j];
            result.limbs_[i + j] = static_cast<std::uint32_t>(carry % kBase);
            carry /= kBase;
        }
        result.limbs_[i + other.limbs_.size()] = static_cast<std::uint32_t>(carry);
    }
    result.trim();
    return result;
}

std::pair<Natural, Natural> Natural::divide(const Natural& divisor) const {
    if (divisor.is_zero()) throw std::domain_error(text() + " divided by 0");
    Natural quotient, rest;
    quotient.limbs_.assign(limbs_.size(), 0);
    for (std::size_t i = limbs_.size(); i-- > 0;) {
        rest = rest.shifted(limbs_[i]);
        quotient.limbs_[i] = rest.quotient_limb(divisor);
        rest = rest.minus(divisor.scaled(quotient.limbs_[i]));
    }
    quotient.trim();
    return {quotient, rest};
}

// How often a divisor goes into this number, which must be less than kBase times.
std::uint32_t Natural::quotient_limb(const Natural& divisor) const {
    std::uint32_t low = 0, high = kBase - 1;
    while (low < high) {
        std::uint32_t middle = high - (high - low) / 2;
        if (divisor.scaled(middle).compare(*this) <= 0) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

void Natural::trim() {
    while (!limbs_.empty() && limbs_.back() == 0) limbs_.pop_back();
}

// This times kBase, plus one more limb.
Natural Natural::shifted(std::uint32_t lowest) const {
    Natural result = *this;
    result.limbs_.insert(result.limbs_.begin(), lowest);
    result.trim();
    return result;
}

Natural Natural::scaled(std::uint32_t factor) const { return times(Natural(factor)); }

Natural power(Natural base, unsigned exponent) {
    Natural result(1);
    for (; exponent > 0; exponent /= 2) {
        if (exponent % 2 == 1) result = result.times(base);
        base = base.times(base);
    }
    return result;
}

Natural gcd(Natural a, Natural b) {
    while (!b.is_zero()) {
        Natural rest = a.divide(b).second;
        a = std::move(b);
        b = std::move(rest);
    }
    return a;
}

Natural square_root(const Natural& n) {
    if (n.is_zero()) return n;
    Natural guess = power(Natural(10), static_cast<unsigned>((n.digits() + 1) / 2));
    for (;;) {
        Natural next = guess.plus(n.divide(guess).first).divide(Natural(2)).first;
        if (next.compare(guess) >= 0) return guess;
        guess = next;
    }
}

Natural factorial(unsigned n) {
    Natural result(1);
    for (unsigned i = 2; i <= n; i++) result = result.times(Natural(i));
    return result;
}

}  // namespace bignum
