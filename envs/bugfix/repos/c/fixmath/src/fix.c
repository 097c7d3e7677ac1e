#include "fix.h"

static fix saturated(int64_t wide) {
    if (wide > FIX_MAX) return FIX_MAX;
    if (wide < FIX_MIN) return FIX_MIN;
    return (fix)wide;
}

/* The whole number nearest to a / b, b > 0, halves away from zero. */
static int64_t nearest(int64_t a, int64_t b) {
    int64_t whole = a / b, rest = a % b;
    if (rest >= b - rest) return whole + 1;
    if (-rest >= b + rest) return whole - 1;
    return whole;
}

fix fix_ratio(int64_t numerator, int64_t denominator) {
    if (denominator == 0) return numerator == 0 ? 0 : numerator > 0 ? FIX_MAX : FIX_MIN;
    if (denominator < 0) {
        numerator = -numerator;
        denominator = -denominator;
    }
    int64_t whole = numerator / denominator;
    if (whole > INT16_MAX) return FIX_MAX;
    if (whole < INT16_MIN) return FIX_MIN;
    return saturated(nearest(numerator % denominator * FIX_ONE, denominator) + whole * FIX_ONE);
}

fix fix_of(int32_t whole) { return saturated((int64_t)whole * FIX_ONE); }

fix fix_add(fix a, fix b) { return saturated((int64_t)a + b); }

fix fix_sub(fix a, fix b) { return saturated((int64_t)a - b); }

fix fix_mul(fix a, fix b) { return saturated(nearest((int64_t)a * b, FIX_ONE)); }

fix fix_div(fix a, fix b) { return fix_ratio(a, b); }

fix fix_abs(fix a) { return a < 0 ? fix_sub(0, a) : a; }

fix fix_clamp(fix a, fix low, fix high) {
    if (a > high) a = high;
    return a < low ? low : a;
}

int32_t fix_floor(fix a) {
    int32_t whole = a / FIX_ONE;
    return a % FIX_ONE < 0 ? whole - 1 : whole;
}

int32_t fix_ceil(fix a) {
    int32_t whole = a / FIX_ONE;
    return a % FIX_ONE > 0 ? whole + 1 : whole;
}

int32_t fix_round(fix a) { return (int32_t)nearest(a, FIX_ONE); }

fix fix_mod(fix a, fix b) {
    if (b == 0) return 0;
    int64_t rest = (int64_t)a % b;
    if (rest != 0 && (rest < 0) != (b < 0)) rest += b;
    return (fix)rest;
}
