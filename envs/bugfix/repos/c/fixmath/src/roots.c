#include "fix.h"

/* The greatest number whose square is not above n. */
static uint32_t root(uint64_t n) {
    uint64_t low = 0;
    for (uint64_t bit = UINT64_C(1) << 31; bit > 0; bit >>= 1) {
        uint64_t next = low | bit;
        if (next * next <= n) low = next;
    }
    return (uint32_t)low;
}

fix fix_sqrt(fix a) {
    if (a < 0) return 0;
    return (fix)root((uint64_t)a * FIX_ONE);
}

fix fix_length(fix x, fix y) {
    int64_t wide_x = x, wide_y = y;
    uint32_t length = root((uint64_t)(wide_x * wide_x) + (uint64_t)(wide_y * wide_y));
    return length > FIX_MAX ? FIX_MAX : (fix)length;
}

fix fix_pow(fix base, int exponent) {
    if (exponent < 0) return fix_div(FIX_ONE, fix_pow(base, -exponent));
    fix power = FIX_ONE;
    while (exponent > 0) {
        if (exponent % 2 == 1) power = fix_mul(power, base);
        exponent /= 2;
        if (exponent > 0) base = fix_mul(base, base);
    }
    return power;
}

fix fix_lerp(fix a, fix b, fix at) {
    int64_t part = fix_clamp(at, 0, FIX_ONE);
    int64_t wide = (int64_t)a * (FIX_ONE - part) + b * part;
    return fix_ratio(wide, (int64_t)FIX_ONE * FIX_ONE);
}

fix fix_curve(const fix_point *points, size_t count, fix x) {
    if (count == 0) return 0;
    if (x <= points[0].x) return points[0].y;
    if (x >= points[count - 1].x) return points[count - 1].y;
    size_t low = 0, high = count - 1;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (points[middle].x <= x) {
            low = middle;
        } else {
            high = middle;
        }
    }
    const fix_point *from = &points[low], *to = &points[high];
    return fix_lerp(from->y, to->y, fix_ratio((int64_t)x - from->x, (int64_t)to->x - from->x));
}
