/* Fails in every way in which a test of C or C++ does; see canary.cmake. */
#undef NDEBUG
#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif
int __wrap_main(int count, char **words);

/* cmocka, where the project is linked with it. */
#pragma weak _cmocka_run_group_tests
#pragma weak _assert_int_equal
#pragma weak _fail
struct CMUnitTest {
    const char *name;
    void (*test)(void **);
    int (*setup)(void **);
    int (*teardown)(void **);
    void *state;
};
int _cmocka_run_group_tests(const char *, const struct CMUnitTest *, size_t, int (*)(void **), int (*)(void **));
void _assert_int_equal(uintmax_t, uintmax_t, const char *, int);
void _fail(const char *, int);

static void unequal(void **state) {
    (void)state;
    _assert_int_equal(1, 2, "canary", 1);
}

static void failed(void **state) {
    (void)state;
    _fail("canary", 1);
}

int __wrap_main(int count, char **words) {
    const char *way = count > 1 ? words[1] : "";
    if (strcmp(way, "assert") == 0) assert(count < 0);
    if (strcmp(way, "exit") == 0) exit(1);
    if (_cmocka_run_group_tests && _assert_int_equal && _fail) {
        struct CMUnitTest test = {"canary", unequal, NULL, NULL, NULL};
        if (strcmp(way, "fail") == 0) test.test = failed;
        return _cmocka_run_group_tests("canary", &test, 1, NULL, NULL);
    }
    return 1;
}
#ifdef __cplusplus
}
#endif
