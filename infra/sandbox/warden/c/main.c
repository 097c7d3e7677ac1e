#include "warden.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "outer") == 0) return run_outer(argc - 2, argv + 2);
    if (argc > 1 && strcmp(argv[1], "inner") == 0) return run_inner(argc - 2, argv + 2);
    fprintf(stderr, "warden: started by palestra, not by hand\n");
    return 64;
}
