/* Control groups, v1 and v2: one directory per warden, given to its user, and one per lease below it.
 * Source: Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst of the kernel ("Delegation"). */
#define _GNU_SOURCE
#include "warden.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES 100

/* Remove the directories below one, and what they hold; those with processes in them refuse. */
static void sweep(int folder, bool top) {
    DIR *items = fdopendir(openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (items == NULL) return;
    for (struct dirent *item; (item = readdir(items)) != NULL;) {
        int inner = item->d_type != DT_DIR || item->d_name[0] == '.'
                        ? -1
                        : openat(folder, item->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (inner < 0) continue;
        /* A warden keeps its directories locked; who lives in them cannot be seen from another PID namespace. */
        bool dead = !top || flock(inner, LOCK_EX | LOCK_NB) == 0;
        if (dead && top) sweep(inner, false);
        if (dead) unlinkat(folder, item->d_name, AT_REMOVEDIR);
        close(inner);
    }
    closedir(items);
}

static void give(int folder, const char *name, uid_t owner) {
    if (faccessat(folder, name, F_OK, 0) == 0) must(fchownat(folder, name, owner, owner, 0) == 0, "delegate");
}

/* Make FOLDER/NAME and move this process there. Another warden's sweep may come between: try again. */
static int settle(const char *path, const char *name, uid_t owner, bool unified) {
    int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(root >= 0, path);
    sweep(root, true); /* what dead wardens left */
    for (int i = 0; i < TRIES; i++) {
        /* 0700: who else could open it could keep it locked. */
        if (mkdirat(root, name, 0700) != 0 && errno != EEXIST) fail("make a control group");
        int own = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (own < 0) continue;
        bool inside = flock(own, LOCK_EX) == 0;
        if (unified) {
            put(root, "cgroup.subtree_control", "+memory +pids +cpu");
            inside = inside && (mkdirat(own, "warden", 0755) == 0 || errno == EEXIST) && put(own, "warden/cgroup.procs", "0");
            inside = inside && put(own, "cgroup.subtree_control", "+memory +pids +cpu");
        } else {
            inside = inside && put(own, "cgroup.procs", "0");
        }
        if (inside) {
            const char *given[] = {".", "cgroup.procs", "tasks", "cgroup.threads", "cgroup.subtree_control", "warden",
                                   "warden/cgroup.procs"};
            for (size_t k = 0; k < sizeof given / sizeof *given && owner != 0; k++) give(own, given[k], owner);
            close(root);
            return own;
        }
        close(own);
    }
    fail("join a control group");
}

int delegate_groups(char **folders, int count, const char *name, uid_t owner, int first_fd) {
    for (int i = 0; i < count; i++) {
        char probe[512];
        snprintf(probe, sizeof probe, "%s/cgroup.controllers", folders[i]);
        int own = settle(folders[i], name, owner, access(probe, F_OK) == 0);
        must(dup2(own, first_fd + i) == first_fd + i, "control group");
        if (own != first_fd + i) close(own);
    }
    return count;
}

static bool set(const int *roots, int count, uint64_t name, const char *file, const char *value) {
    char path[96];
    snprintf(path, sizeof path, "l%llu/%s", (unsigned long long)name, file);
    for (int i = 0; i < count; i++)
        if (put(roots[i], path, value)) return true;
        else if (errno != ENOENT) return false;
    return false;
}

static bool set_limits(const int *roots, int count, uint64_t name, const struct order *order) {
    char memory[32], processes[32], quota[48];
    bool unified = count == 1;
    snprintf(memory, sizeof memory, "%llu", (unsigned long long)order->memory_bytes);
    snprintf(processes, sizeof processes, "%u", order->processes + 1); /* the keeper is one */
    snprintf(quota, sizeof quota, unified ? "%u 100000" : "%u", order->cpu_quota_us);
    if (!set(roots, count, name, unified ? "memory.max" : "memory.limit_in_bytes", memory)) return false;
    /* Buffers of sockets are not part of v1's memory unless they have a limit of their own. */
    if (!unified) set(roots, count, name, "memory.kmem.tcp.limit_in_bytes", memory);
    /* Missing where the kernel does not account for swap. */
    set(roots, count, name, unified ? "memory.swap.max" : "memory.memsw.limit_in_bytes", unified ? "0" : memory);
    return set(roots, count, name, "pids.max", processes) &&
           set(roots, count, name, unified ? "cpu.max" : "cpu.cfs_quota_us", quota);
}

static int open_oom(const int *roots, int count, uint64_t name) {
    char path[96];
    int fd = -1;
    const char *file = count == 1 ? "memory.events" : "memory.oom_control";
    snprintf(path, sizeof path, "l%llu/%s", (unsigned long long)name, file);
    for (int i = 0; i < count && fd < 0; i++) fd = openat(roots[i], path, O_RDONLY | O_CLOEXEC);
    return fd;
}

bool make_groups(const int *roots, int count, uint64_t name, const struct order *order, struct groups *made) {
    char path[96];
    made->count = 0;
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "l%llu", (unsigned long long)name);
        if (mkdirat(roots[i], path, 0755) != 0) return false;
        /* v1: a thread that moves itself through `tasks` needs no machine-wide lock, which can cost 15 ms. */
        snprintf(path, sizeof path, "l%llu/%s", (unsigned long long)name, count == 1 ? "cgroup.procs" : "tasks");
        made->join[i] = openat(roots[i], path, O_WRONLY | O_CLOEXEC);
        if (made->join[i] < 0) return false;
        made->count++;
    }
    made->oom = open_oom(roots, count, name);
    return count == 0 || set_limits(roots, count, name, order);
}

void close_groups(struct groups *groups) {
    for (int i = 0; i < groups->count; i++) close(groups->join[i]);
    groups->count = 0;
}

void join_groups(const struct groups *groups) {
    for (int i = 0; i < groups->count; i++) must(write(groups->join[i], "0", 1) == 1, "join a control group");
}

/* How many processes the kernel killed in this group for lack of memory. */
long oom_kills(int fd) {
    char text[1024];
    ssize_t size = fd < 0 ? 0 : pread(fd, text, sizeof text - 1, 0);
    if (size <= 0) return 0;
    text[size] = 0;
    const char *at = strstr(text, "oom_kill ");
    return at == NULL ? 0 : strtol(at + strlen("oom_kill "), NULL, 10);
}

/* The same, by the group's name. */
long oom_kills_of(const int *roots, int count, uint64_t name) {
    int fd = open_oom(roots, count, name);
    long kills = oom_kills(fd);
    if (fd >= 0) close(fd);
    return kills;
}

/* False if a directory is still there (its last process is on its way out). */
bool drop_groups(const int *roots, int count, uint64_t name) {
    char path[32];
    bool gone = true;
    snprintf(path, sizeof path, "l%llu", (unsigned long long)name);
    for (int i = 0; i < count; i++)
        if (unlinkat(roots[i], path, AT_REMOVEDIR) != 0 && errno != ENOENT) gone = false;
    return gone;
}
