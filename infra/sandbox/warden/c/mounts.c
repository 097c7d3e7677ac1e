/* What a lease sees. All leases share the warden's template (the read-only image, /dev, an empty /sys); each adds a tmpfs
 * of its own, bound to /work, /tmp, /grade and /dev/shm, and a fresh /proc, /dev/pts and /dev/mqueue.
 *
 * Layers: layer K of a lease is a tmpfs on /lease/K. Layer 0 holds the files themselves; a fork freezes the current layer
 * for both sides, and each side covers it with an overlay whose upper directory lies in a new layer. */
#define _GNU_SOURCE
#include "warden.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAFE (MS_NOSUID | MS_NODEV)
#define MAX_INODES 100000
#define MEMORY_PER_INODE 4096
/* mount(2) takes one page of options */
#define OPTIONS 4096

static const char *const places[] = {"work", "tmp", "grade"};

static void cover(const char *path, unsigned long flags, const char *options) {
    must(mount("palestra", path, "tmpfs", flags, options) == 0, path);
}

void prepare_template(void) {
    char name[16];
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private mounts");
    if (access("/sys", F_OK) == 0) cover("/sys", SAFE | MS_NOEXEC | MS_RDONLY, "size=4k,mode=0555");
    cover("/lease", SAFE | MS_NOEXEC, "size=64k,nr_inodes=300,mode=0700");
    must(chdir("/lease") == 0, "/lease");
    for (int i = 0; i < MAX_LAYERS; i++) {
        snprintf(name, sizeof name, "%d", i);
        must(mkdir(name, 0700) == 0, "make a place for layers");
    }
    must(chdir("/") == 0 && mount(NULL, "/lease", NULL, MS_REMOUNT | MS_RDONLY | SAFE | MS_NOEXEC, "") == 0, "/lease");
}

static void make_place(const char *path, mode_t mode, uid_t owner) {
    must(mkdir(path, 0700) == 0 && chown(path, owner, owner) == 0 && chmod(path, mode) == 0, path);
}

static void make_text(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
    close(fd);
}

static void bind(const char *from, const char *to) { must(mount(from, to, NULL, MS_BIND, NULL) == 0, to); }

static void name_users(const struct keeper *keeper) {
    char text[512];
    unsigned agent = keeper->ranged ? keeper->uid[AGENT] : 1000, grader = keeper->ranged ? keeper->uid[GRADER] : 1001;
    const char *format = "root:x:0:0::/work:/bin/sh\nagent:x:%u:%u::/work:/bin/sh\n"
                         "grader:x:%u:%u::/grade:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n";
    snprintf(text, sizeof text, format, agent, agent, grader, grader);
    make_text("passwd", text);
    snprintf(text, sizeof text, "root:x:0:\nagent:x:%u:\ngrader:x:%u:\nnogroup:x:65534:\n", agent, grader);
    make_text("group", text);
    bind("passwd", "/etc/passwd");
    bind("group", "/etc/group");
}

static int new_layer(const struct order *order, uint32_t layer) {
    char path[32], options[128];
    unsigned long long inodes = order->memory_bytes / MEMORY_PER_INODE;
    snprintf(path, sizeof path, "/lease/%u", layer);
    snprintf(options, sizeof options, "size=%llu,nr_inodes=%llu,mode=0755", (unsigned long long)order->disk_bytes,
             inodes < MAX_INODES ? inodes : MAX_INODES);
    if (mount("palestra", path, "tmpfs", SAFE, options) != 0) return -1;
    return chdir(path) == 0 && mkdir("u", 0755) == 0 ? 0 : -1;
}

/* Cover the frozen layers with an overlay; the working directory is the new layer. */
static int stack_layers(uint32_t layer) {
    char options[OPTIONS], *at = options, *end = options + sizeof options;
    at += snprintf(at, end - at, "userxattr,upperdir=/lease/%u/u,workdir=/lease/%u/w,lowerdir=", layer, layer);
    for (uint32_t below = layer; below-- > 0 && at < end;)
        at += snprintf(at, end - at, "/lease/%u/u%s", below, below ? ":" : "");
    if (layer >= MAX_LAYERS || at >= end) return errno = ELOOP, -1;
    if (mkdir("w", 0700) != 0 || mkdir("m", 0755) != 0) return -1;
    return mount("overlay", "m", "overlay", SAFE, options);
}

static int show(const char *view) {
    char from[64], to[32];
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(from, sizeof from, "%s/%s", view, places[i]);
        snprintf(to, sizeof to, "/%s", places[i]);
        if (mount(from, to, NULL, MS_BIND, NULL) != 0) return -1;
    }
    return 0;
}

/* Freeze what this lease has and write to `layer` from now on. Returns 0, or -1 with errno. */
int push_layer(const struct order *order, uint32_t layer) {
    char path[32];
    if (layer >= MAX_LAYERS) return errno = ELOOP, -1;
    if (new_layer(order, layer) != 0 || stack_layers(layer) != 0) return -1;
    /* What was shown so far would stay below, and make every later fork copy more mounts. */
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(path, sizeof path, "/%s", places[i]);
        if (umount2(path, MNT_DETACH) != 0) return -1;
    }
    snprintf(path, sizeof path, "/lease/%u/m", layer - 1);
    umount2(path, MNT_DETACH); /* layer 0 has no overlay */
    return show("m") == 0 ? chdir("/") : -1;
}

/* In the lease's own mount namespace, still with the warden's view of things (or, for a fork, with its parent's). */
void mount_lease(const struct keeper *keeper) {
    uint32_t layer = keeper->order.layer;
    must(new_layer(&keeper->order, layer) == 0, "mount a layer");
    if (layer == 0) {
        make_place("u/work", 0755, keeper->uid[AGENT]);
        make_place("u/tmp", 01777, 0); /* whose owner could undo the sticky bit's protection */
        make_place("u/grade", 0700, keeper->uid[GRADER]);
        must(show("u") == 0, "show the layer");
        name_users(keeper);
    } else {
        must(stack_layers(layer) == 0 && show("m") == 0, "stack layers");
    }
    make_place("shm", 01777, 0);
    bind("shm", "/dev/shm");
    must(chdir("/") == 0, "/");
    must(mount("proc", "/proc", "proc", SAFE | MS_NOEXEC, "hidepid=2") == 0, "/proc");
    if (access("/dev/pts", F_OK) == 0)
        must(mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620") == 0,
             "/dev/pts");
    if (access("/dev/mqueue", F_OK) == 0)
        must(mount("mqueue", "/dev/mqueue", "mqueue", SAFE | MS_NOEXEC, NULL) == 0, "/dev/mqueue");
}

/* Where agent and grader share one user id, a command gets a mount namespace of its own without what it must not see. */
void hide_from(enum user user) {
    cover("/lease", SAFE | MS_NOEXEC | MS_RDONLY, "size=4k,mode=0555");
    if (user == AGENT) cover("/grade", SAFE | MS_NOEXEC | MS_RDONLY, "size=4k,mode=0");
    if (user == GRADER) cover("/tmp", SAFE, "size=64m,mode=1777");
}
