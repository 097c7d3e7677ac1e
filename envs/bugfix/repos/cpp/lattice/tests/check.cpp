#include "check.hpp"

#include <cstdio>
#include <cstring>
#include <exception>
#include <vector>

namespace {
struct Test {
    const char* name;
    void (*run)();
};
int failures = 0;

std::vector<Test>& tests() {
    static std::vector<Test> all;
    return all;
}
}  // namespace

void check_add(const char* name, void (*test)()) { tests().push_back({name, test}); }

void check_failed(const char* file, int line, const char* what) {
    failures++;
    std::printf("%s:%d: not so: %s\n", file, line, what);
}

int main(int argc, char** argv) {
    int ran = 0;
    for (const Test& test : tests()) {
        if (argc > 1 && std::strcmp(argv[1], test.name) != 0) continue;
        ran++;
        try {
            test.run();
        } catch (const std::exception& error) {
            failures++;
            std::printf("%s: thrown: %s\n", test.name, error.what());
        }
    }
    if (ran == 0) std::printf("no test %s\n", argc > 1 ? argv[1] : "here");
    return ran == 0 || failures > 0;
}
