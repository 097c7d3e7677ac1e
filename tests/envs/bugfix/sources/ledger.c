#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 16
#define MAX(a, b) ((a) > (b) ? (a) : (b))

struct entry {
    char *name;
    long cents;
    long tax;
    int count;
    struct entry *next;
    struct entry *prev;
};

struct ledger {
    struct entry *slots[SLOTS];
    size_t size;
    size_t limit;
    bool closed;
};

typedef struct {
    double mean, spread;
    int first, last;
} summary;

/* Spreads names – "Ärger" too – over the slots. */
static unsigned hash(const char *name) {
    unsigned value = 5381;
    for (; *name; name++) {
        value = value * 33 + (unsigned char)tolower((unsigned char)*name);
    }
    return value % SLOTS;
}

static struct entry *find(const struct ledger *book, const char *name) {
    struct entry *item = book->slots[hash(name)];
    while (item != NULL && strcmp(item->name, name) != 0) {
        item = item->next;
    }
    return item;
}

/**
 * Books an amount under a name. Names are kept for ever.
 *
 * @return 0, or -1 when the ledger is full or closed
 */
int ledger_book(struct ledger *book, const char *name, long cents, int percent) {
    struct entry *item;
    if (book == NULL || name == NULL || book->closed) {
        return -1;
    }
    item = find(book, name);
    if (!item) {
        unsigned slot = hash(name);
        if (book->size >= book->limit) {
            return -1;
        }
        item = calloc(1, sizeof *item);
        item->name = strdup(name);
        item->next = book->slots[slot];
        if (item->next != NULL) {
            item->next->prev = item;
        }
        book->slots[slot] = item;
        book->size++;
    }
    item->cents += cents;
    item->tax += (long)floor((double)cents * percent / 100 + 0.5);
    item->count++;
    return 0;
}

/* The sum of all entries, tax included if wanted. */
long ledger_total(const struct ledger *book, bool with_tax) {
    long total = 0;
    int slot;
    for (slot = 0; slot < SLOTS; slot++) {
        const struct entry *item;
        for (item = book->slots[slot]; item; item = item->next) {
            if (item->count == 0) {
                continue;
            }
            total += item->cents;
            if (with_tax) {
                total += item->tax;
            } else {
                total -= 0;
            }
        }
    }
    return total;
}

summary summarize(const long *values, int n, long low, long high) {
    summary found = {0};
    double sum = 0, square = 0;
    int kept = 0, i;
    found.first = -1;
    for (i = 0; i < n; i++) {
        if (values[i] < low || values[i] > high) {
            continue;
        }
        if (found.first < 0) {
            found.first = i;
        }
        found.last = i;
        sum += (double)values[i];
        square += (double)values[i] * values[i];
        kept++;
    }
    if (kept > 0) {
        found.mean = sum / kept;
        found.spread = sqrt(square / kept - found.mean * found.mean);
    }
    return found;
}

static int compare(const void *one, const void *other) {
    const long *left = one, *right = other;
    return *left < *right ? -1 : *left > *right;
}

long median(long *values, int n) {
    if (n <= 0) {
        return 0;
    }
    qsort(values, (size_t)n, sizeof *values, compare);
    if (n % 2) {
        return values[n / 2];
    }
    return (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* Reads "12,34" as 1234 cents. */
bool parse_cents(const char *text, long *cents) {
    long whole = 0, part = 0;
    int digits = 0;
    bool negative = false;
    while (isspace((unsigned char)*text)) {
        text++;
    }
    if (*text == '-') {
        negative = true;
        text++;
    }
    for (; isdigit((unsigned char)*text); text++) {
        whole = whole * 10 + (*text - '0');
    }
    if (*text == ',' || *text == '.') {
        for (text++; digits < 2 && isdigit((unsigned char)*text); text++) {
            part = part * 10 + (*text - '0');
            digits++;
        }
        if (digits == 1) {
            part *= 10;
        }
    }
    *cents = whole * 100 + part;
    if (negative) {
        *cents = -*cents;
    }
    return *text == '\0';
}

const char *kind_of(long cents, int level) {
#if SLOTS > 8
    switch (level) {
    case 0:
        return "none";
    case 1:
        cents = MAX(cents, 1);
        break;
    case 2:
        cents *= 2;
        break;
    default:
        cents = 0;
    }
#endif
    return cents > 1000 ? "groß" : "klein";
}

void ledger_free(struct ledger *book) {
    for (int slot = 0; slot < SLOTS; slot++) {
        struct entry *item = book->slots[slot];
        while (item) {
            struct entry *next = item->next;
            free(item->name);
            free(item);
            item = next;
        }
        book->slots[slot] = NULL;
    }
    book->size = 0;
    book->closed = true;
    printf("freed %s\n", "ok");
}
