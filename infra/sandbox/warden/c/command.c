/* Start one command: the right user, no rights beyond it, the filter, and nothing open but three descriptors. */
#define _GNU_SOURCE
#include "warden.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PATH_MAX_BYTES 4096

/* Short, whatever the name: the keeper waits for us and cannot empty the pipe meanwhile. */
static _Noreturn void give_up(int code, const char *what) {
    dprintf(2, "%.200s: %s\n", what, strerror(errno));
    _exit(code);
}

/* One id for all: a nested user namespace takes the rights away and counts this command's processes alone. */
static bool nest(enum user user) {
    char map[32];
    snprintf(map, sizeof map, "%d 0 1\n", user == AGENT ? 1000 : 1001);
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    if (!put(AT_FDCWD, "/proc/self/setgroups", "deny") || !put(AT_FDCWD, "/proc/self/uid_map", map)) return false;
    if (!put(AT_FDCWD, "/proc/self/gid_map", map)) return false;
    hide_from(user);
    struct { uint32_t version; int pid; } header = {0x20080522, 0};
    uint32_t none[6] = {0};
    return syscall(SYS_capset, &header, none) == 0;
}

/* Raw calls: this process shares its memory with the keeper until exec, and libc would tell its threads. */
static bool become(const struct keeper *keeper, enum user user) {
    if (!keeper->ranged) return nest(user);
    uid_t id = keeper->uid[user];
    return syscall(SYS_setgroups, 0, NULL) == 0 && syscall(SYS_setresgid, id, id, id) == 0 &&
           syscall(SYS_setresuid, id, id, id) == 0;
}

bool install_filter(const struct keeper *keeper) {
    struct sock_fprog program = {(unsigned short)(keeper->filter_size / sizeof(struct sock_filter)),
                                 (struct sock_filter *)keeper->filter};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

static const char *variable(char **env, const char *name) {
    size_t size = strlen(name);
    for (; *env != NULL; env++)
        if (strncmp(*env, name, size) == 0 && (*env)[size] == '=') return *env + size + 1;
    return NULL;
}

/* execvpe(3) with the command's own PATH instead of ours; returns only on failure. */
static void execute(char **argv, char **env) {
    char path[PATH_MAX_BYTES];
    if (strchr(argv[0], '/') != NULL) {
        execve(argv[0], argv, env);
        return;
    }
    int reason = ENOENT;
    for (const char *at = variable(env, "PATH"), *next; at != NULL && *at != 0; at = *next ? next + 1 : next) {
        next = strchrnul(at, ':');
        if (snprintf(path, sizeof path, "%.*s/%s", (int)(next - at), at, argv[0]) >= (int)sizeof path) continue;
        execve(path, argv, env);
        if (errno == EACCES) reason = EACCES;
        else if (errno != ENOENT && errno != ENOTDIR) return;
    }
    errno = reason;
}

static _Noreturn void run_child(const struct keeper *keeper, const struct command *command, int in, int out, int err) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0 || close_range(3, ~0U, 0) != 0) _exit(124);
    setsid();
    put(AT_FDCWD, "/proc/self/oom_score_adj", "1000"); /* short of memory, the kernel takes commands first */
    if (!become(keeper, command->user)) give_up(124, "cannot take the sandbox user's identity");
    if (chdir(command->cwd) != 0) give_up(125, command->cwd);
    if (!keeper->ranged && !install_filter(keeper)) give_up(124, "cannot install the system call filter");
    execute(command->argv, command->env);
    give_up(errno == ENOENT ? 127 : 126, command->argv[0]);
}

pid_t spawn(const struct keeper *keeper, const struct command *command, int in, int out, int err) {
    pid_t pid = keeper->ranged ? vfork() : fork(); /* a new user namespace is refused to who shares memory */
    if (pid == 0) run_child(keeper, command, in, out, err);
    return pid;
}
