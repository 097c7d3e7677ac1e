/* Files of a lease, with the rights of the user whose place it is, and never through a link: the kernel itself resolves
 * the path (openat2(2), RESOLVE_NO_SYMLINKS below the place), so that none can be swapped in on the way. */
#define _GNU_SOURCE
#include "warden.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_FILE (64ull << 20)
#define MAX_ENTRIES 10000
#define CHUNK (256 * 1024)
/* Answers beyond errno */
enum { ESCAPED = -1, TOO_LARGE = -2 };

static void answer(const struct keeper *keeper, int32_t reason) {
    send_frame(keeper->client, 'z', &reason, sizeof reason);
}

static int reason_of(int error) { return error == ELOOP || error == EXDEV ? ESCAPED : error; }

/* The place ("/work") of a path, and what lies below it ("" for the place itself). */
static int open_place(const char *path, const char **below) {
    char place[16];
    size_t size = strcspn(path + 1, "/") + 1;
    if (size >= sizeof place) return errno = ENOENT, -1;
    memcpy(place, path, size);
    place[size] = 0;
    *below = path[size] ? path + size + 1 : path + size;
    return open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int open_below(int place, const char *below, int flags) {
    struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC | (flags & O_PATH ? 0 : O_NONBLOCK)), .mode = flags & O_CREAT ? 0644 : 0,
                           .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, place, *below ? below : ".", &how, sizeof how);
}

/* Act as the place's user until `act_as_self`; a keeper in a one-id namespace is that user already. */
static void act_as_owner(const struct keeper *keeper, const char *path) {
    uid_t id = keeper->uid[strncmp(path, "/grade", 6) == 0 ? GRADER : AGENT];
    setfsgid(id);
    setfsuid(id);
}

static void act_as_self(void) {
    setfsuid(0);
    setfsgid(0);
}

static int send_content(const struct keeper *keeper, int fd) {
    struct stat info;
    if (fstat(fd, &info) != 0) return errno;
    if (S_ISDIR(info.st_mode)) return EISDIR;
    if (!S_ISREG(info.st_mode)) return EINVAL;
    if ((uint64_t)info.st_size > MAX_FILE) return TOO_LARGE;
    char *data = malloc(CHUNK);
    must(data != NULL, "memory");
    ssize_t got;
    while ((got = read(fd, data, CHUNK)) > 0) send_frame(keeper->client, 'd', data, (size_t)got);
    int reason = got < 0 ? errno : 0;
    free(data);
    return reason;
}

void read_file(const struct keeper *keeper, const char *path) {
    const char *below;
    act_as_owner(keeper, path);
    int place = open_place(path, &below), fd = place < 0 ? -1 : open_below(place, below, O_RDONLY);
    int reason = fd < 0 ? reason_of(errno) : send_content(keeper, fd);
    act_as_self();
    if (fd >= 0) close(fd);
    if (place >= 0) close(place);
    answer(keeper, reason);
}

/* Make the directories that lead to a file. */
static int make_folders(int place, char *below) {
    for (char *slash = strchr(below, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        char *name = strrchr(below, '/');
        int parent = dup(place);
        if (name != NULL) {
            *name = 0;
            close(parent);
            parent = open_below(place, below, O_PATH | O_DIRECTORY);
            *name = '/';
        }
        int failed = parent < 0 || (mkdirat(parent, name ? name + 1 : below, 0755) != 0 && errno != EEXIST);
        int reason = errno;
        if (parent >= 0) close(parent);
        *slash = '/';
        if (failed) return errno = reason, -1;
    }
    return 0;
}

static int open_to_write(int place, const char *below) {
    int fd = open_below(place, below, O_WRONLY | O_CREAT);
    if (fd >= 0 || errno != ENOENT) return fd;
    char *copy = strdup(below);
    must(copy != NULL, "memory");
    int made = make_folders(place, copy);
    free(copy);
    return made == 0 ? open_below(place, below, O_WRONLY | O_CREAT) : -1;
}

static int put_content(int place, const char *below, bool append, const char *data, size_t size) {
    int fd = open_to_write(place, below);
    if (fd < 0) return errno == ENXIO ? EINVAL : reason_of(errno); /* ENXIO: a FIFO that nobody reads */
    struct stat info;
    int reason = fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) ? EINVAL : 0;
    if (reason == 0 && (append ? lseek(fd, 0, SEEK_END) < 0 : ftruncate(fd, 0) != 0)) reason = errno;
    for (ssize_t put; reason == 0 && size > 0; data += put, size -= (size_t)put)
        if ((put = write(fd, data, size)) < 0) reason = errno, put = 0;
    close(fd);
    return reason;
}

void write_file(const struct keeper *keeper, const char *path, bool append, const char *data, size_t size) {
    const char *below;
    act_as_owner(keeper, path);
    int place = open_place(path, &below);
    int reason = place < 0 ? errno : *below == 0 ? EISDIR : put_content(place, below, append, data, size);
    act_as_self();
    if (place >= 0) close(place);
    answer(keeper, reason);
}

static char letter(mode_t mode) { return S_ISREG(mode) ? 'f' : S_ISDIR(mode) ? 'd' : S_ISLNK(mode) ? 'l' : 'o'; }

/* One frame per entry: kind, size, name. */
static int send_entries(const struct keeper *keeper, int fd) {
    struct { uint8_t kind; uint64_t size; char name[256]; } __attribute__((packed)) entry;
    DIR *items = fdopendir(fd);
    int count = 0;
    if (items == NULL) return errno;
    for (struct dirent *item; (item = readdir(items)) != NULL;) {
        struct stat info;
        if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0) continue;
        if (++count > MAX_ENTRIES) break;
        if (fstatat(dirfd(items), item->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
        entry.kind = (uint8_t)letter(info.st_mode);
        entry.size = (uint64_t)info.st_size;
        size_t size = strlen(item->d_name);
        memcpy(entry.name, item->d_name, size);
        send_frame(keeper->client, 'd', &entry, sizeof entry - sizeof entry.name + size);
    }
    closedir(items);
    return count > MAX_ENTRIES ? TOO_LARGE : 0;
}

void list_files(const struct keeper *keeper, const char *path) {
    const char *below;
    act_as_owner(keeper, path);
    int place = open_place(path, &below), fd = place < 0 ? -1 : open_below(place, below, O_RDONLY | O_DIRECTORY);
    int reason = fd < 0 ? reason_of(errno) : send_entries(keeper, fd);
    act_as_self();
    if (place >= 0) close(place);
    answer(keeper, reason);
}
