/* PID 1 of a lease: answer one request at a time until the owner hangs up or the deadline comes.
 *
 * Requests: 'x' run a command, 'r' read, 'w' write, 'a' append, 'l' list; to a running command: 'i' more input (none: its
 * end), 'k' end it.
 * Answers: 'R' ready, 'o'/'e' output, 'X' how a command ended, 'd' data, 'z' errno of anything else (0: done), 'f' failed. */
#define _GNU_SOURCE
#include "warden.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

struct exec_request {
    uint8_t user, streaming;
    uint64_t output_bytes;
    double seconds;
    uint32_t arguments, variables, text_size; /* cwd, arguments, variables: each ends with NUL; then input */
} __attribute__((packed));

/* Only the kernel's own timer counts: without root, commands have the keeper's user id and may signal it. */
static void end(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    if (info->si_code == SI_KERNEL) _exit(0);
}

/* The lease's end, whatever the keeper is doing. */
static void set_deadline(double seconds) {
    struct sigaction action = {.sa_sigaction = end, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct itimerval timer = {.it_value = {(time_t)seconds, 1 + (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6) % 999999}};
    must(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &timer, NULL) == 0, "deadline");
}

static void send_parts(int client, struct iovec *part, int count) {
    while (count > 0) {
        ssize_t sent = writev(client, part, count);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) _exit(0); /* the owner is gone */
        for (; count > 0 && (size_t)sent >= part->iov_len; part++, count--) sent -= (ssize_t)part->iov_len;
        if (count > 0) part->iov_base = (char *)part->iov_base + sent, part->iov_len -= (size_t)sent;
    }
}

void send_frame(int client, uint8_t kind, const void *data, size_t size) {
    struct header header = {(uint32_t)size, kind};
    struct iovec parts[2] = {{&header, sizeof header}, {(void *)data, size}};
    send_parts(client, parts, size ? 2 : 1);
}

void receive(int client, void *into, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t got = recv(client, (char *)into + done, size - done, MSG_WAITALL);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) _exit(0);
        done += (size_t)got;
    }
}

/* "Ready", and with it a listening socket of this network namespace, which the owner serves a proxy on. */
static void say_ready(const struct keeper *keeper) {
    if (!keeper->order.proxy) return send_frame(keeper->client, 'R', NULL, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PROXY_PORT), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    must(listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 64) == 0,
         "proxy");
    struct header header = {0, 'R'};
    must(send_with(keeper->client, &header, sizeof header, &listener, 1), "hand over the proxy");
    close(listener);
}

static char **take_strings(uint32_t count, char **at, const char *limit) {
    char **found = calloc((size_t)count + 1, sizeof *found);
    must(found != NULL, "memory");
    for (uint32_t i = 0; i < count; i++) {
        must(*at < limit, "a request that ends too early");
        found[i] = *at;
        *at += strlen(*at) + 1;
    }
    return found;
}

static void serve_command(const struct keeper *keeper, char *data, size_t size) {
    struct exec_request request;
    must(size > sizeof request, "a request that is too short");
    memcpy(&request, data, sizeof request);
    char *at = data + sizeof request, *limit = at + request.text_size;
    must(request.text_size > 0 && limit <= data + size && limit[-1] == 0, "a request whose sizes are wrong");
    struct command command = {.user = request.user ? GRADER : AGENT, .streaming = request.streaming > 0, .more = request.streaming > 1,
                              .output_bytes = request.output_bytes, .seconds = request.seconds, .cwd = at,
                              .input = limit, .input_size = (size_t)(data + size - limit)};
    at += strlen(at) + 1;
    command.argv = take_strings(request.arguments, &at, limit);
    command.env = take_strings(request.variables, &at, limit);
    must(command.argv[0] != NULL, "a command without a name");
    run_command(keeper, &command);
    free(command.argv);
    free(command.env);
}

static void serve(const struct keeper *keeper, uint8_t kind, char *data, size_t size) {
    size_t path = strlen(data) + 1; /* the buffer always ends with NUL */
    if (kind == 'x') serve_command(keeper, data, size);
    if (kind == 'r') read_file(keeper, data);
    if (kind == 'l') list_files(keeper, data);
    if ((kind == 'w' || kind == 'a') && path <= size) write_file(keeper, data, kind == 'a', data + path, size - path);
}

_Noreturn void run_keeper(struct keeper *keeper) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    keeper->children = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK); /* blocked since the warden's start */
    must(keeper->children >= 0, "signals");
    signal(SIGPIPE, SIG_IGN);
    set_deadline(keeper->order.seconds);
    say_ready(keeper);
    for (struct header header;;) {
        receive(keeper->client, &header, sizeof header);
        must(header.size <= MAX_REQUEST, "a request that is too large");
        char *data = malloc((size_t)header.size + 1);
        must(data != NULL, "memory");
        receive(keeper->client, data, header.size);
        data[header.size] = 0;
        serve(keeper, header.kind, data, header.size);
        free(data);
    }
}
