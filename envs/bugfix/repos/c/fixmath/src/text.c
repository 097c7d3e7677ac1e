#include "fix_text.h"

#include <string.h>

static const int64_t POWERS[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000};

/* Write the digits of a number, at least `least` of them; returns how many. */
static size_t digits(uint64_t n, int least, char *out) {
    char reversed[24];
    size_t count = 0;
    while (n > 0 || least > 0) {
        reversed[count++] = (char)('0' + n % 10);
        n /= 10;
        least--;
    }
    for (size_t i = 0; i < count; i++) out[i] = reversed[count - 1 - i];
    return count;
}

size_t fix_print(fix a, int places, char *out) {
    if (places < 0) places = 0;
    if (places > FIX_PLACES) places = FIX_PLACES;
    uint64_t power = (uint64_t)POWERS[places];
    uint64_t size = (uint64_t)(a < 0 ? -(int64_t)a : a);
    uint64_t scaled = (size * power + FIX_ONE / 2) / FIX_ONE;
    size_t length = 0;
    if (a < 0 && scaled > 0) out[length++] = '-';
    length += digits(scaled / power, 1, out + length);
    if (places > 0) {
        out[length++] = '.';
        length += digits(scaled % power, places, out + length);
    }
    out[length] = '\0';
    return length;
}

size_t fix_print_short(fix a, char *out) {
    for (int places = 0;; places++) {
        size_t length = fix_print(a, places, out);
        fix again;
        if (places == FIX_PLACES || (fix_parse(out, &again) && again == a)) return length;
    }
}

bool fix_parse(const char *text, fix *value) {
    bool negative = *text == '-';
    if (*text == '-' || *text == '+') text++;
    int64_t number = 0;
    int places = 0, seen = 0;
    bool point = false;
    for (; *text != '\0'; text++) {
        if (*text == '.') {
            if (point) return false;
            point = true;
            continue;
        }
        if (*text < '0' || '9' < *text) return false;
        seen++;
        if (point && places == FIX_PLACES) continue;
        number = number * 10 + (*text - '0');
        if (point) places++;
        if (number > 40000 * POWERS[places]) return false;
    }
    if (seen == 0) return false;
    int64_t limit = negative ? 32768 : 32767;
    int64_t scaled = ((negative ? number * -2 : number * 2) * FIX_ONE);
    int64_t half = negative ? -POWERS[places] : POWERS[places];
    if (number / POWERS[places] > limit) return false;
    scaled = (scaled + half) / (2 * POWERS[places]);
    if (scaled > FIX_MAX || scaled < FIX_MIN) return false;
    *value = (fix)scaled;
    return true;
}
