/* Decimal texts of fixed-point numbers. */
#ifndef FIX_TEXT_H
#define FIX_TEXT_H

#include "fix.h"

enum { FIX_PLACES = 9, FIX_TEXT = 24 };

/** Print a number such as "-3.250" with `places` decimals (at most FIX_PLACES), rounded, into `out`, which has room for
 * FIX_TEXT characters; returns the length. There is no "-0". */
size_t fix_print(fix a, int places, char *out);

/** Print a number with as few decimals as it takes to read the same number again. */
size_t fix_print_short(fix a, char *out);

/** Read a whole text such as "12", "-3.25", "+.5" or "7."; false for other texts and for what is out of range. */
bool fix_parse(const char *text, fix *value);

#endif
