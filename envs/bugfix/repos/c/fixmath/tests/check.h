/* A test is a function that registers itself; the program runs the one whose name it is given. */
#ifndef CHECK_H
#define CHECK_H

typedef void check_test(void);

void check_add(const char *name, check_test *test);
void check_failed(const char *file, int line, const char *what);

#define TEST(name)                                                                             \
    static void name(void);                                                                    \
    __attribute__((constructor)) static void add_##name(void) { check_add(#name, name); }      \
    static void name(void)

#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))

#endif
