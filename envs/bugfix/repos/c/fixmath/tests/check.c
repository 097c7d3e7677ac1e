#include "check.h"

#include <stdio.h>
#include <string.h>

enum { MOST = 200 };

static struct {
    const char *name;
    check_test *test;
} tests[MOST];
static int count, failures;

void check_add(const char *name, check_test *test) {
    if (count < MOST) {
        tests[count].name = name;
        tests[count++].test = test;
    }
}

void check_failed(const char *file, int line, const char *what) {
    failures++;
    printf("%s:%d: not so: %s\n", file, line, what);
}

int main(int argc, char **argv) {
    int ran = 0;
    for (int i = 0; i < count; i++) {
        if (argc < 2 || strcmp(argv[1], tests[i].name) == 0) {
            tests[i].test();
            ran++;
        }
    }
    if (ran == 0) printf("no test %s\n", argc < 2 ? "here" : argv[1]);
    return ran == 0 || failures > 0;
}
