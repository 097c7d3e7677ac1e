// A test is a function that registers itself; the program runs the one whose name it is given.
#pragma once

void check_add(const char* name, void (*test)());
void check_failed(const char* file, int line, const char* what);

#define TEST(name)                                        \
    static void name();                                   \
    static const bool added_##name = (check_add(#name, name), true); \
    static void name()

#define CHECK(...) ((__VA_ARGS__) ? (void)0 : check_failed(__FILE__, __LINE__, #__VA_ARGS__))

#define CHECK_THROWS(type, ...)                                                      \
    do {                                                                             \
        bool thrown = false;                                                         \
        try {                                                                        \
            (void)(__VA_ARGS__);                                                     \
        } catch (const type&) {                                                      \
            thrown = true;                                                           \
        }                                                                            \
        if (!thrown) check_failed(__FILE__, __LINE__, #__VA_ARGS__ " throws " #type); \
    } while (false)
