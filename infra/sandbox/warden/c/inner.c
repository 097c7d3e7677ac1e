/* The second stage: make a keeper for each order of the owner, until the owner is gone. */
#define _GNU_SOURCE
#include "warden.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONTROL 3
#define FIRST_GROUP 4
#define FIRST_USER 1000
#define USER_PAIRS 30000
#define SPARES 2

/* A keeper that runs. A spare one has no id yet: it is made like the last lease was, in the hope that the next one will
 * be the same, and waits for its assignment. */
struct lease {
    struct lease *next;
    uint64_t id, group;
    pid_t pid;    /* 0 once it has ended */
    pid_t pusher; /* 0, or who freezes its layer just now */
    int line;
    uid_t uid;
    bool dropped; /* a spare one that is not wanted any more */
    struct order order;
};

static struct lease *leases;
static int roots[MAX_GROUPS], root_count, children;
static bool ranged;
static uint8_t filter[MAX_FILTER];
static size_t filter_size;
static uint16_t users[USER_PAIRS]; /* how many leases (a family of forks) use a pair of user ids */

static struct lease *find(uint64_t id) {
    struct lease *at = leases;
    while (at != NULL && (at->id != id || id == 0)) at = at->next;
    return at;
}

/* The family's pair of ids, or the next free one: an id that was just given up is used again as late as possible. */
static uid_t take_users(const struct lease *parent) {
    static size_t last;
    if (parent != NULL && parent->uid == 0) return 0;
    if (parent == NULL) {
        size_t tried = 0;
        do last = (last + 1) % USER_PAIRS;
        while (users[last] != 0 && ++tried < USER_PAIRS);
    }
    size_t pair = parent == NULL ? last : (parent->uid - FIRST_USER) / 2;
    if (parent == NULL ? users[pair] != 0 : users[pair] == UINT16_MAX) return 0;
    users[pair]++;
    return FIRST_USER + 2 * (uid_t)pair;
}

static void tell(uint8_t kind, uint64_t id, int value) {
    struct notice notice = {.kind = kind, .id = id, .value = (uint8_t)value};
    if (send(CONTROL, &notice, sizeof notice, MSG_NOSIGNAL) < 0 && errno != EPIPE) fail("tell the owner");
}

static void bring_up_loopback(void) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    must(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0, "loopback");
    close(fd);
}

/* As much of `value` as there is to give. */
static void limit(int what, rlim_t value) {
    struct rlimit limit;
    must(getrlimit(what, &limit) == 0, "get a limit");
    if (value < limit.rlim_max) limit.rlim_max = value;
    limit.rlim_cur = limit.rlim_max;
    must(setrlimit(what, &limit) == 0, "set a limit");
}

/* What the kernel counts per user, and lets users below share: a lease gets a small part of it. */
static void take_limits(const struct order *order) {
    limit(RLIMIT_NOFILE, order->open_files);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_SIGPENDING, 1024);
    limit(RLIMIT_MSGQUEUE, 256 << 10);
    limit(RLIMIT_MEMLOCK, 1 << 20);
    if (root_count == 0) { /* the best that is left without control groups: per process, and per user namespace */
        limit(RLIMIT_AS, order->memory_bytes);
        limit(RLIMIT_NPROC, order->processes);
    }
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no new privileges");
    for (int capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0;) capability++;
}

/* Descriptors above the last one that the keeper needs belong to the warden or to other leases. */
static void keep_only(struct keeper *keeper) {
    int *wanted[MAX_GROUPS + 2], count = 0;
    wanted[count++] = &keeper->line;
    if (keeper->groups.oom >= 0) wanted[count++] = &keeper->groups.oom;
    for (int i = 0; i < keeper->groups.count; i++) wanted[count++] = &keeper->groups.join[i];
    for (int i = 0; i < count; i++) *wanted[i] = fcntl(*wanted[i], F_DUPFD_CLOEXEC, 512);
    for (int i = 0; i < count; i++) {
        must(*wanted[i] >= 0 && dup3(*wanted[i], CONTROL + i, O_CLOEXEC) >= 0, "descriptor");
        *wanted[i] = CONTROL + i;
    }
    must(close_range(CONTROL + count, ~0U, 0) == 0, "close descriptors");
}

/* What takes the longest comes first, so that a spare keeper has it behind itself. */
static _Noreturn void become_keeper(struct keeper *keeper) {
    struct assignment assignment;
    int passed[2];
    keep_only(keeper);
    complain_line = keeper->line;
    must(unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET) == 0, "new namespaces");
    bring_up_loopback();
    put(AT_FDCWD, "/proc/sys/kernel/shm_rmid_forced", "1"); /* shared memory ends with the last who has it attached */
    join_groups(&keeper->groups);
    close_groups(&keeper->groups);
    take_limits(&keeper->order);
    if (!keeper->order.parent) mount_lease(keeper);
    if (receive_with(keeper->line, &assignment, sizeof assignment, passed, 2) != sizeof assignment) _exit(0);
    complain_to = keeper->client = passed[0];
    keeper->order = assignment.order;
    memcpy(keeper->uid, assignment.uid, sizeof keeper->uid);
    close(keeper->line);
    if (keeper->order.parent) {
        must(passed[1] >= 0 && setns(passed[1], CLONE_NEWNS) == 0, "join the parent's mounts");
        must(unshare(CLONE_NEWNS) == 0, "new mount namespace");
        mount_lease(keeper);
        close(passed[1]);
    }
    /* Where every command gets a namespace of its own, each installs the filter itself. */
    must(!ranged || install_filter(keeper), "install the system call filter");
    run_keeper(keeper);
}

/* Start a keeper for leases like this one. */
static struct lease *prepare(const struct order *order, const struct lease *parent) {
    static uint64_t group;
    struct lease *lease = calloc(1, sizeof *lease);
    int line[2];
    must(lease != NULL, "memory");
    *lease = (struct lease){.next = leases, .group = ++group, .line = -1, .uid = take_users(parent), .order = *order};
    struct keeper keeper = {.order = *order, .ranged = ranged, .filter = filter, .filter_size = filter_size, .client = -1,
                            .uid = {ranged ? lease->uid : 0, ranged ? lease->uid + 1 : 0}, .groups = {.oom = -1}};
    leases = lease;
    if (lease->uid == 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line) != 0) return lease;
    keeper.line = line[1];
    lease->line = line[0];
    if (make_groups(roots, root_count, group, order, &keeper.groups)) {
        lease->pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
        if (lease->pid == 0) become_keeper(&keeper);
    }
    if (lease->pid < 0) lease->pid = 0;
    if (lease->pid == 0) fprintf(stderr, "warden: cannot start a keeper: %s\n", strerror(errno));
    close(line[1]);
    close_groups(&keeper.groups);
    if (keeper.groups.oom >= 0) close(keeper.groups.oom);
    return lease;
}

static bool alike(const struct order *one, const struct order *other) {
    return one->memory_bytes == other->memory_bytes && one->disk_bytes == other->disk_bytes &&
           one->processes == other->processes && one->cpu_quota_us == other->cpu_quota_us &&
           one->open_files == other->open_files;
}

/* A spare keeper for this order, if any; those for other limits are let go. */
static struct lease *take_spare(const struct order *order, int *spares) {
    struct lease *found = NULL;
    *spares = 0;
    for (struct lease *lease = leases; lease != NULL; lease = lease->next) {
        if (lease->id != 0 || lease->pid == 0 || lease->dropped) continue;
        if (!alike(&lease->order, order)) lease->dropped = true, kill(lease->pid, SIGKILL);
        else if (found == NULL) found = lease;
        else ++*spares;
    }
    return found;
}

static void join_family(struct lease *lease, const struct lease *parent) {
    users[(lease->uid - FIRST_USER) / 2]--;
    lease->uid = take_users(parent);
}

static void make_lease(const struct order *order, int client) {
    struct lease *parent = find(order->parent), *lease;
    struct order blank = *order;
    int spares, passed[2] = {client, -1};
    if (order->parent && parent == NULL) return tell('D', order->id, 0);
    blank.id = blank.parent = blank.layer = 0;
    if ((lease = take_spare(order, &spares)) == NULL) lease = prepare(&blank, NULL);
    lease->id = order->id;
    if (parent != NULL) {
        if (lease->uid) join_family(lease, parent);
        passed[1] = (int)syscall(SYS_pidfd_open, parent->pid, 0);
    }
    struct assignment assignment = {*order, {ranged ? lease->uid : 0, ranged ? lease->uid + 1 : 0}};
    if (lease->pid > 0 && (lease->uid == 0 || !send_with(lease->line, &assignment, sizeof assignment, passed, parent ? 2 : 1)))
        kill(lease->pid, SIGKILL);
    if (lease->line >= 0) close(lease->line);
    lease->line = -1;
    if (passed[1] >= 0) close(passed[1]);
    while (spares++ < SPARES) prepare(&blank, NULL);
}

/* In a process of its own: enter a lease's mount namespace and freeze what is there. */
static void push(struct lease *lease, uint32_t layer) {
    if (lease->pid == 0 || lease->pusher != 0) return tell('P', lease->id, ESRCH);
    pid_t keeper = lease->pid, pid = fork();
    if (pid == 0) {
        int handle = (int)syscall(SYS_pidfd_open, keeper, 0);
        _exit(handle >= 0 && setns(handle, CLONE_NEWNS) == 0 && push_layer(&lease->order, layer) == 0 ? 0 : errno);
    }
    if (pid < 0) return tell('P', lease->id, errno);
    lease->pusher = pid;
}

/* Forget leases whose keeper has ended and whose control groups are gone; true if some must be tried again. */
static bool bury(void) {
    bool again = false;
    for (struct lease **at = &leases, *lease; (lease = *at) != NULL;) {
        if (lease->pid > 0 || lease->pusher > 0) {
            at = &lease->next;
            continue;
        }
        bool out_of_memory = oom_kills_of(roots, root_count, lease->group) > 0;
        if (!drop_groups(roots, root_count, lease->group)) {
            again = true;
            at = &lease->next;
            continue;
        }
        if (lease->line >= 0) close(lease->line);
        if (lease->uid != 0) users[(lease->uid - FIRST_USER) / 2]--;
        if (lease->id != 0) tell('D', lease->id, out_of_memory);
        *at = lease->next;
        free(lease);
    }
    return again;
}

static void reap(void) {
    struct signalfd_siginfo info;
    int status;
    while (read(children, &info, sizeof info) > 0) continue;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (struct lease *lease = leases; lease != NULL; lease = lease->next) {
            if (lease->pid == pid) lease->pid = 0;
            if (lease->pusher != pid) continue;
            lease->pusher = 0;
            tell('P', lease->id, WIFEXITED(status) ? WEXITSTATUS(status) : EINTR);
        }
}

/* One datagram of the owner; false once the owner is gone. */
static bool obey(void) {
    static uint8_t data[MAX_FILTER + 1];
    int client;
    int size = receive_with(CONTROL, data, sizeof data, &client, 1);
    if (size <= 0) return size < 0 && errno == EAGAIN;
    struct order order = {0};
    memcpy(&order, data, (size_t)size < sizeof order ? (size_t)size : sizeof order);
    if (order.kind == 'F') memcpy(filter, data + 1, filter_size = (size_t)size - 1);
    if (order.kind == 'L' && client >= 0) make_lease(&order, client);
    struct lease *lease = find(order.id);
    if (order.kind == 'K' && lease != NULL && lease->pid > 0) kill(lease->pid, SIGKILL);
    if (order.kind == 'P' && lease != NULL) push(lease, order.layer);
    if (order.kind == 'P' && lease == NULL) tell('P', order.id, ESRCH);
    if (client >= 0) close(client);
    return true;
}

/* inner ranged|single GROUPS */
int run_inner(int argc, char **argv) {
    must(argc == 2, "arguments");
    ranged = strcmp(argv[0], "ranged") == 0;
    root_count = atoi(argv[1]);
    for (int i = 0; i < root_count; i++) roots[i] = FIRST_GROUP + i;
    must(unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWCGROUP) == 0, "new namespaces");
    must(sethostname("sandbox", 7) == 0, "host name");
    umask(022);
    limit(RLIMIT_NOFILE, RLIM_INFINITY);
    put(AT_FDCWD, "/proc/sys/user/max_inotify_instances", "32"); /* per user, that is per lease */
    put(AT_FDCWD, "/proc/sys/user/max_inotify_watches", "8192");
    /* Who took a new identity is no longer told of its parent's death: the outer wall's, where the owner was killed. */
    must(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "end with the outer wall");
    prepare_template();
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    must(sigprocmask(SIG_BLOCK, &signals, NULL) == 0, "signals");
    children = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    must(children >= 0, "signals");
    struct pollfd watched[2] = {{.fd = CONTROL, .events = POLLIN}, {.fd = children, .events = POLLIN}};
    for (bool again = false;;) {
        if (poll(watched, 2, again ? 1 : -1) < 0 && errno != EINTR) fail("poll");
        if (watched[1].revents) reap();
        again = bury();
        if (watched[0].revents && !obey()) break;
    }
    kill(-1, SIGKILL);
    while (wait(NULL) > 0) continue;
    for (struct lease *lease = leases; lease != NULL; lease = lease->next) {
        for (int i = 0; i < 1000 && !drop_groups(roots, root_count, lease->group); i++) usleep(1000);
    }
    return 0;
}
