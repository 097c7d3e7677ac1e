/* The warden: a small static program that turns one outer wall (a container, a bubblewrap) into many cheap leases.
 *
 *   warden outer ...   runs once with the outer wall's identity: delegates control groups, enters a user namespace
 *   warden inner ...   prepares the mounts that all leases share, then makes a keeper for each lease
 *   keeper             PID 1 of one lease: runs its commands, serves its files, kills what they leave behind
 *
 * Integers on the wire are in host order: both ends are always on one machine.
 */
#ifndef WARDEN_H
#define WARDEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MAX_GROUPS 3
#define MAX_LAYERS 256
#define MAX_FILTER 8192
#define MAX_REQUEST (96u << 20)
#define PROXY_PORT 3128

enum user { AGENT = 0, GRADER = 1 };
enum ended { EXITED = 0, TIMED_OUT = 1, OUT_OF_MEMORY = 2, OUTPUT_LIMIT = 3 };

/* Control messages, one datagram each, from the owner. 'F': the filter follows. 'L': make a lease; the client's socket
 * comes along. 'P': freeze a lease's layer and put `layer` above it. 'K': kill one. Answers: 'P': errno of that; 'D': a
 * lease is gone, and whether memory ran out in it. */
struct order {
    uint8_t kind;
    uint64_t id;
    uint64_t parent; /* 0, or the lease whose files this one starts with */
    uint32_t layer;  /* the layer that this lease writes to: 0, or one above its parent's frozen ones */
    uint64_t memory_bytes, disk_bytes;
    uint32_t processes, cpu_quota_us, open_files, proxy;
    double seconds;
} __attribute__((packed));

struct notice {
    uint8_t kind;
    uint64_t id;
    uint8_t value;
} __attribute__((packed));

/* Frames on a lease's own stream socket: this header, then `size` bytes. */
struct header {
    uint32_t size;
    uint8_t kind;
} __attribute__((packed));

/* Control groups of one lease: where to join, and where the kernel counts kills for lack of memory. */
struct groups {
    int join[MAX_GROUPS];
    int count;
    int oom;
};

/* What a keeper is told when a lease is made of it; the client's socket comes along, and a fork's parent (a pidfd). */
struct assignment {
    struct order order;
    uid_t uid[2];
};

struct keeper {
    struct order order;
    struct groups groups;
    int line; /* to the warden, until there is a client */
    int client;
    uid_t uid[2];
    bool ranged; /* true: agent and grader have user ids of their own; false: one id, walls by nested namespaces */
    const uint8_t *filter;
    size_t filter_size;
    int children; /* a signalfd for SIGCHLD */
};

struct command {
    enum user user;
    bool streaming, more; /* more: input goes on while it runs */
    uint64_t output_bytes;
    double seconds;
    const char *cwd;
    char **argv, **env;
    const char *input;
    size_t input_size;
};

/* outer.c */
int run_outer(int argc, char **argv);
/* inner.c */
int run_inner(int argc, char **argv);
/* groups.c: `roots` are descriptors of this warden's directories, `count` of them (1 on v2, 3 on v1, 0: none) */
int delegate_groups(char **folders, int count, const char *name, uid_t owner, int first_fd);
bool make_groups(const int *roots, int count, uint64_t name, const struct order *order, struct groups *made);
void close_groups(struct groups *groups);
void join_groups(const struct groups *groups);
long oom_kills(int fd);
long oom_kills_of(const int *roots, int count, uint64_t name);
bool drop_groups(const int *roots, int count, uint64_t name);
/* mounts.c */
void prepare_template(void);
void mount_lease(const struct keeper *keeper);
int push_layer(const struct order *order, uint32_t layer);
void hide_from(enum user user);
/* keeper.c */
_Noreturn void run_keeper(struct keeper *keeper);
void receive(int client, void *into, size_t size);
void send_frame(int client, uint8_t kind, const void *data, size_t size);
/* command.c, relay.c */
bool install_filter(const struct keeper *keeper);
pid_t spawn(const struct keeper *keeper, const struct command *command, int in, int out, int err);
void run_command(const struct keeper *keeper, const struct command *command);
/* files.c */
void read_file(const struct keeper *keeper, const char *path);
void write_file(const struct keeper *keeper, const char *path, bool append, const char *data, size_t size);
void list_files(const struct keeper *keeper, const char *path);
/* tools.c; a keeper's failures are also told to its client, for whom a spare one waits on its line */
extern int complain_to, complain_line;
int receive_with(int fd, void *data, size_t size, int *passed, int count);
bool send_with(int fd, const void *data, size_t size, const int *passed, int count);
_Noreturn void fail(const char *what);
double now(void);
void must(bool done, const char *what);
bool put(int folder, const char *name, const char *text);

#endif
