#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace bignum {

/// A number from 0, of any size.
class Natural {
public:
    /// The number of a machine word.
    Natural(std::uint64_t value = 0);

    /// The number of decimal digits. Throws std::invalid_argument for no digits or anything that is none.
    static Natural parse(const std::string& digits);

    /// Decimal digits without leading zeros.
    std::string text() const;

    /// Less than 0, 0 or more, as this is less than, equal to or more than the other.
    int compare(const Natural& other) const;

    bool is_zero() const { return limbs_.empty(); }
    bool is_even() const { return is_zero() || limbs_[0] % 2 == 0; }

    /// How many decimal digits `text` has.
    std::size_t digits() const;

    Natural plus(const Natural& other) const;

    /// The difference. Throws std::underflow_error where the other is larger.
    Natural minus(const Natural& other) const;

    Natural times(const Natural& other) const;

    /// Quotient and remainder. Throws std::domain_error for 0.
    std::pair<Natural, Natural> divide(const Natural& divisor) const;

private:
    static constexpr std::uint32_t kBase = 1'000'000'000;  // nine decimal digits a limb
    static constexpr int kWidth = 9;

    void trim();
    Natural shifted(std::uint32_t lowest) const;
    Natural scaled(std::uint32_t factor) const;
    std::uint32_t quotient_limb(const Natural& divisor) const;

    std::vector<std::uint32_t> limbs_;  // least first, the last one is not 0
};

/// The number raised to a power; 0 to the power 0 is 1.
Natural power(Natural base, unsigned exponent);

/// The greatest common divisor; of 0 and n it is n.
Natural gcd(Natural a, Natural b);

/// The largest number whose square is at most n.
Natural square_root(const Natural& n);

/// The product of all numbers from 1 to n.
Natural factorial(unsigned n);

}  // namespace bignum
