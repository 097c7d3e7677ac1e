/* Fixed-point numbers with 16 fraction bits. What does not fit becomes FIX_MAX or FIX_MIN; what lies between two numbers
 * is rounded to the nearer one, halves away from zero. */
#ifndef FIX_H
#define FIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int32_t fix;

#define FIX_ONE ((fix)65536)
#define FIX_MAX INT32_MAX
#define FIX_MIN INT32_MIN

/** The number nearest to numerator / denominator; for a denominator of 0 the end of the range with the numerator's sign,
 * or 0 for 0 / 0. */
fix fix_ratio(int64_t numerator, int64_t denominator);

/** A whole number. */
fix fix_of(int32_t whole);

fix fix_add(fix a, fix b);
fix fix_sub(fix a, fix b);
fix fix_mul(fix a, fix b);
fix fix_div(fix a, fix b);

/** The distance from zero. */
fix fix_abs(fix a);

/** A number cut to a range; `low` where the range is empty. */
fix fix_clamp(fix a, fix low, fix high);

/** The greatest whole number that is not above, the least that is not below, and the nearest one. */
int32_t fix_floor(fix a);
int32_t fix_ceil(fix a);
int32_t fix_round(fix a);

/** What is left above the floor of a / b, times b: it has the sign of b, and is 0 where b is 0. */
fix fix_mod(fix a, fix b);

/** The square root, rounded down; 0 for a negative number. */
fix fix_sqrt(fix a);

/** The length of the way (x, y), which may be longer than FIX_MAX and is then cut. */
fix fix_length(fix x, fix y);

/** A whole power; a negative exponent gives the inverse. */
fix fix_pow(fix base, int exponent);

/** The number that lies between a (at = 0) and b (at = 1); `at` is cut to 0 ... 1. */
fix fix_lerp(fix a, fix b, fix at);

/** A point of a curve. */
typedef struct {
    fix x, y;
} fix_point;

/** The height of a curve of `count` points with growing x, straight between them and level outside; 0 without points. */
fix fix_curve(const fix_point *points, size_t count, fix x);

#endif
