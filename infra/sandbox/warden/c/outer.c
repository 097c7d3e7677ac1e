/* The first stage: with the identity that the outer wall gave, do what only it may, then give it up for good. */
#define _GNU_SOURCE
#include "warden.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONTROL 3
#define FIRST_GROUP 4
#define USER_IDS 65536

/* `fd:N`, or the path of a socket to connect to; ends up as descriptor CONTROL. */
static void open_control(const char *where) {
    int fd = -1;
    if (strncmp(where, "fd:", 3) == 0) {
        fd = atoi(where + 3);
    } else {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        must(strlen(where) < sizeof address.sun_path, "path of the control socket");
        strcpy(address.sun_path, where);
        fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
        must(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "connect to the owner");
    }
    if (fd != CONTROL) {
        must(dup2(fd, CONTROL) == CONTROL, "control socket");
        close(fd);
    }
}

static void write_map(pid_t pid, const char *name, uid_t first) {
    char path[64], line[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    snprintf(line, sizeof line, "0 %u %d\n", first, USER_IDS);
    must(put(AT_FDCWD, path, line), path);
}

/* Act as the namespace's owner, still with the right to map ids that are not one's own. */
static void act_for(uid_t owner) {
    struct { uint32_t version; int pid; } header = {0x20080522, 0};
    struct { uint32_t effective, permitted, inheritable; } rights[2];
    must(setresuid((uid_t)-1, owner, (uid_t)-1) == 0, "act as the namespace's owner");
    must(syscall(SYS_capget, &header, rights) == 0, "rights");
    rights[0].effective = rights[0].permitted & (1u << 6 | 1u << 7); /* CAP_SETGID, CAP_SETUID */
    must(syscall(SYS_capset, &header, rights) == 0, "keep the right to map ids");
}

/* Become root of a new user namespace whose ids are `first` and the following ones outside. It belongs to `first`, not
 * to root: what the kernel counts per user is then charged to nobody else. Only a process outside may write the map,
 * hence the helper. */
static void enter_user_namespace(uid_t first) {
    int ready[2];
    must(pipe(ready) == 0, "pipe");
    pid_t self = getpid(), helper = fork();
    must(helper >= 0, "fork");
    if (helper == 0) {
        char go;
        close(ready[1]);
        must(read(ready[0], &go, 1) == 1, "wait for the namespace");
        act_for(first);
        write_map(self, "uid_map", first);
        write_map(self, "gid_map", first);
        _exit(0);
    }
    close(ready[0]);
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY}; /* each lease gets its part; fails without the right, harmlessly */
    setrlimit(RLIMIT_MSGQUEUE, &all), setrlimit(RLIMIT_SIGPENDING, &all), setrlimit(RLIMIT_NPROC, &all);
    must(setgroups(0, NULL) == 0 && setresgid(first, first, first) == 0, "give up root's group");
    must(setresuid(first, first, first) == 0 && prctl(PR_SET_DUMPABLE, 1) == 0, "give up root");
    must(unshare(CLONE_NEWUSER) == 0, "new user namespace");
    must(write(ready[1], "", 1) == 1, "wake the helper");
    close(ready[1]);
    int status;
    must(waitpid(helper, &status, 0) == helper && status == 0, "map user ids");
    must(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0, "become the namespace's root");
}

/* outer CONTROL FIRST_UID NAME [GROUP FOLDER ...]; FIRST_UID 0: stay in the namespace of the outer wall */
int run_outer(int argc, char **argv) {
    must(argc >= 3 && argc <= 3 + MAX_GROUPS, "arguments");
    uid_t first = (uid_t)strtoul(argv[1], NULL, 10);
    open_control(argv[0]);
    if (access("/proc/self", F_OK) != 0)
        must(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0, "mount /proc");
    int groups = delegate_groups(argv + 3, argc - 3, argv[2], first, FIRST_GROUP);
    if (first != 0) enter_user_namespace(first);
    char count[8];
    snprintf(count, sizeof count, "%d", groups);
    /* A fresh exec makes the new namespace own this process's memory, so that it may look at its own children. */
    execl("/proc/self/exe", "warden", "inner", first ? "ranged" : "single", count, (char *)NULL);
    fail("exec");
}
