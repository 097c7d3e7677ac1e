/* Small things that everybody needs. */
#define _GNU_SOURCE
#include "warden.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

int complain_to = -1, complain_line = -1;

_Noreturn void fail(const char *what) {
    char text[512];
    struct assignment unheeded;
    int size = snprintf(text, sizeof text, "%s: %s", what, strerror(errno));
    fprintf(stderr, "warden: %s\n", text);
    if (complain_to < 0 && complain_line >= 0) receive_with(complain_line, &unheeded, sizeof unheeded, &complain_to, 1);
    if (complain_to >= 0) send_frame(complain_to, 'f', text, (size_t)size < sizeof text ? (size_t)size : sizeof text - 1);
    _exit(70);
}

void must(bool done, const char *what) {
    if (!done) fail(what);
}

/* One datagram and up to `count` descriptors; those that did not come are -1. Returns its size, 0 at the end. */
int receive_with(int fd, void *data, size_t size, int *passed, int count) {
    char space[CMSG_SPACE(2 * sizeof(int))];
    struct iovec part = {data, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    for (int i = 0; i < count; i++) passed[i] = -1;
    ssize_t got;
    do got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    struct cmsghdr *rights = got < 0 ? NULL : CMSG_FIRSTHDR(&message);
    if (rights != NULL && rights->cmsg_type == SCM_RIGHTS) {
        size_t bytes = rights->cmsg_len - CMSG_LEN(0), wanted = (size_t)count * sizeof(int);
        memcpy(passed, CMSG_DATA(rights), bytes < wanted ? bytes : wanted);
    }
    return (int)got;
}

bool send_with(int fd, const void *data, size_t size, const int *passed, int count) {
    char space[CMSG_SPACE(2 * sizeof(int))] = {0};
    struct iovec part = {(void *)data, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space,
                             .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int))};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    size_t bytes = (size_t)count * sizeof(int);
    *rights = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(bytes)};
    memcpy(CMSG_DATA(rights), passed, bytes);
    return sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)size;
}

double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

/* Write a short text to an existing file of a folder. */
bool put(int folder, const char *name, const char *text) {
    int fd = openat(folder, name, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    int reason = errno;
    close(fd);
    errno = reason;
    return done;
}
