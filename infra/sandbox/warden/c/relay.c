/* Stand between a command and the owner: feed its input, bound its output and time, and leave nothing of it alive. */
#define _GNU_SOURCE
#include "warden.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK 65536

struct output {
    int fd; /* -1 once it has ended */
    uint8_t kind;
    char *data;
    size_t size, room;
};

struct text {
    const char *data;
    char *owned;
    size_t size;
};

struct relay {
    const struct keeper *keeper;
    const struct command *command;
    struct output output[2];
    size_t total;
    int input; /* -1 once it has ended */
    struct text given; /* what the command has not read yet */
    bool more;         /* the owner may send more of it */
    pid_t pid;
    int status;
    bool exited;
    enum ended ended;
};

struct result {
    int32_t code;
    uint8_t ended;
    double seconds;
    double cpu_seconds;
} __attribute__((packed));

static void shut(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static void collect(struct output *output, const char *data, size_t size) {
    if (output->size + size > output->room) {
        output->room = (output->size + size) * 2;
        output->data = realloc(output->data, output->room);
        must(output->data != NULL, "memory for output");
    }
    memcpy(output->data + output->size, data, size);
    output->size += size;
}

/* Take what is there; false once the output limit is passed. */
static bool drain(struct relay *relay, struct output *output) {
    char data[CHUNK];
    ssize_t got = read(output->fd, data, sizeof data);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (got <= 0) return shut(&output->fd), true;
    if (relay->command->streaming) return send_frame(relay->keeper->client, output->kind, data, (size_t)got), true;
    size_t room = relay->command->output_bytes - relay->total, kept = (size_t)got < room ? (size_t)got : room;
    collect(output, data, kept);
    relay->total += kept;
    return kept == (size_t)got;
}

static void feed(struct relay *relay) {
    struct text *given = &relay->given;
    ssize_t sent = given->size ? write(relay->input, given->data, given->size) : 0;
    if (sent > 0) given->data += sent, given->size -= (size_t)sent;
    if ((sent < 0 && errno != EAGAIN && errno != EINTR) || (given->size == 0 && !relay->more)) shut(&relay->input);
}

/* The owner sent more input; nothing at all is its end. */
static void take_input(struct relay *relay, size_t size) {
    struct text *given = &relay->given;
    must(size <= MAX_REQUEST, "input that is too large");
    char *joined = malloc(given->size + size + 1);
    must(joined != NULL, "memory for input");
    if (given->size) memcpy(joined, given->data, given->size);
    receive(relay->keeper->client, joined + given->size, size);
    free(given->owned);
    *given = (struct text){joined, joined, given->size + size};
    relay->more = relay->more && size > 0;
    if (relay->input < 0) given->size = 0; /* the command reads no more */
}

static void note(struct relay *relay, pid_t pid, int status) {
    if (pid != relay->pid) return; /* an orphan that came to us */
    relay->status = status;
    relay->exited = true;
}

static void reap(struct relay *relay) {
    struct signalfd_siginfo info;
    int status;
    while (read(relay->keeper->children, &info, sizeof info) > 0) continue;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) note(relay, pid, status);
}

/* The owner says 'k', gives more input, or hangs up. */
static bool told_to_stop(struct relay *relay) {
    struct header header;
    ssize_t got = recv(relay->keeper->client, &header, sizeof header, MSG_DONTWAIT);
    if (got == 0) _exit(0);
    if (got != (ssize_t)sizeof header) return false;
    if (header.kind == 'i') take_input(relay, header.size);
    return header.kind == 'k';
}

static bool can_send(int client) {
    struct pollfd watched = {.fd = client, .events = POLLOUT};
    return poll(&watched, 1, 0) == 1;
}

/* Until the command has ended, or must. A stream is read only while the owner takes what comes. */
static void attend(struct relay *relay, double until) {
    while (!relay->exited) {
        bool held = relay->command->streaming && !can_send(relay->keeper->client);
        struct pollfd watched[5] = {{.fd = relay->keeper->client, .events = held ? POLLIN | POLLOUT : POLLIN},
                                    {.fd = relay->keeper->children, .events = POLLIN},
                                    {.fd = relay->given.size || !relay->more ? relay->input : -1, .events = POLLOUT},
                                    {.fd = held ? -1 : relay->output[0].fd, .events = POLLIN},
                                    {.fd = held ? -1 : relay->output[1].fd, .events = POLLIN}};
        double left = (until - now()) * 1e3;
        relay->ended = TIMED_OUT;
        if (left <= 0) return;
        if (poll(watched, 5, left > 1e9 ? 1000000000 : (int)left + 1) < 0 && errno != EINTR) fail("poll");
        if (watched[0].revents & ~POLLOUT && told_to_stop(relay)) return;
        if (watched[1].revents) reap(relay);
        if (watched[2].revents) feed(relay);
        relay->ended = OUTPUT_LIMIT;
        for (int i = 0; i < 2; i++)
            if (watched[3 + i].revents && !drain(relay, &relay->output[i])) return;
        relay->ended = EXITED;
    }
}

/* All of it: kill(-1) holds the kernel's list of processes, and a fork whose caller was killed fails, so that nobody
 * gets away. Then wait until the last one is gone. */
static void kill_rest(struct relay *relay) {
    int status;
    kill(-1, SIGKILL);
    for (pid_t pid; (pid = waitpid(-1, &status, 0)) > 0 || errno == EINTR;)
        if (pid > 0) note(relay, pid, status);
}

/* Something is there to read. Its end may never come: a descriptor that was sent over a socket nobody holds any more keeps
 * the pipe open until the kernel looks for such. */
static bool has_more(const struct output *output) {
    struct pollfd watched = {.fd = output->fd, .events = POLLIN};
    return output->fd >= 0 && poll(&watched, 1, 0) == 1;
}

/* What all processes used that have ended in this lease. */
static double cpu_used(void) {
    struct rusage used;
    getrusage(RUSAGE_CHILDREN, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void finish(struct relay *relay, double started, double cpu_before, long killed_before) {
    for (int i = 0; i < 2; i++)
        while (relay->ended != OUTPUT_LIMIT && has_more(&relay->output[i]))
            if (!drain(relay, &relay->output[i])) relay->ended = OUTPUT_LIMIT;
    if (oom_kills(relay->keeper->groups.oom) > killed_before) relay->ended = OUT_OF_MEMORY;
    int status = relay->status;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    struct result result = {relay->ended == EXITED ? code : 137, (uint8_t)relay->ended, now() - started,
                            cpu_used() - cpu_before};
    for (int i = 0; i < 2; i++) {
        struct output *output = &relay->output[i];
        if (output->size) send_frame(relay->keeper->client, output->kind, output->data, output->size);
        free(output->data);
        shut(&output->fd);
    }
    shut(&relay->input);
    free(relay->given.owned);
    send_frame(relay->keeper->client, 'X', &result, sizeof result);
}

static void must_pipe(int ends[2]) { must(pipe2(ends, O_CLOEXEC) == 0, "pipe"); }

void run_command(const struct keeper *keeper, const struct command *command) {
    int in[2], out[2], err[2];
    must_pipe(in), must_pipe(out), must_pipe(err);
    double started = now(), cpu_before = cpu_used();
    long killed_before = oom_kills(keeper->groups.oom);
    struct relay relay = {.keeper = keeper, .command = command, .input = in[1], .more = command->more,
                          .given = {.data = command->input, .size = command->input_size},
                          .output = {{.fd = out[0], .kind = 'o'}, {.fd = err[0], .kind = 'e'}}};
    fcntl(in[1], F_SETFL, O_NONBLOCK);
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    fcntl(err[0], F_SETFL, O_NONBLOCK);
    relay.pid = spawn(keeper, command, in[0], out[1], err[1]);
    int reason = errno;
    close(in[0]), close(out[1]), close(err[1]);
    if (relay.pid < 0) {
        errno = reason;
        fail("start a process");
    }
    if (command->input_size == 0 && !command->more) shut(&relay.input);
    attend(&relay, started + command->seconds);
    kill_rest(&relay);
    finish(&relay, started, cpu_before, killed_before);
}
