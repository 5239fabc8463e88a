/*
 * A layer between a program and its files that makes chosen calls fail, or hang. It is put there with LD_PRELOAD, and concerns
 * the files below the folder FAULTS_UNDER alone.
 *
 * Whoever runs the program talks to it through the file FAULTS_CONTROL, which is this page (the tests write and read it
 * as 32-bit numbers, see tests/suite/faults/layer.rs). Calls are counted whether they are to fail or not.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

enum kind { WRITE, SYNC, TRUNCATE, READ, OPEN, KINDS };
enum mode { IO_ERROR, NO_SPACE, TORN, HANGING };

struct control {
    /* Calls fail, or hang, while it is not 0. */
    _Atomic uint32_t armed;
    /* Which kinds fail: a bit for each. */
    _Atomic uint32_t kinds;
    /* The first call of such a kind that fails, counted from 1, and how many do. */
    _Atomic uint32_t first, times;
    _Atomic uint32_t mode;
    /* How many have failed, or begun to hang. */
    _Atomic uint32_t failed;
    /* Calls so far. */
    _Atomic uint32_t calls[KINDS];
    /* Calls that wrote to a write-ahead log, and those of them that no sync came after. */
    _Atomic uint32_t log_writes, log_unsynced;
};

static struct control *control;
static char under[PATH_MAX];

__attribute__((constructor)) static void start(void) {
    const char *folder = getenv("FAULTS_UNDER");
    const char *path = getenv("FAULTS_CONTROL");
    if (!folder || !path || !realpath(folder, under)) return;
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return;
    void *page = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (page != MAP_FAILED) control = page;
}

static int concerns(const char *path) {
    return control && strncmp(path, under, strlen(under)) == 0;
}

/* The path of an open file, or nothing if it is none of ours. */
static int path_of(int file, char *path) {
    if (!control) return 0;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    int before = errno;
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    errno = before;
    if (length < 0) return 0;
    path[length] = 0;
    return concerns(path);
}

static int is_log(const char *path) {
    size_t length = strlen(path);
    return length > 4 && strcmp(path + length - 4, "-wal") == 0;
}

/* Counts a call, and returns when it is to be made. 0: let it through; otherwise errno is set, and 1: let it fail, 2: write half
 * of it. One that hangs does so until no call is to, and is then let through. */
static int fails(enum kind kind) {
    uint32_t call = atomic_fetch_add(&control->calls[kind], 1) + 1;
    if (!control->armed || !(control->kinds & (1u << kind))) return 0;
    uint32_t first = control->first;
    if (call < first || call - first >= control->times) return 0;
    uint32_t failed = atomic_fetch_add(&control->failed, 1);
    if (control->mode == HANGING) {
        while (control->armed) usleep(1000);
        return 0;
    }
    errno = control->mode == IO_ERROR ? EIO : ENOSPC;
    return control->mode == TORN && failed == 0 ? 2 : 1;
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define PLAIN(name, kind, type, parameters, arguments) \
    type name parameters { \
        REAL(name); \
        char path[PATH_MAX]; \
        if (path_of(file, path) && fails(kind)) return -1; \
        return real arguments; \
    }

PLAIN(read, READ, ssize_t, (int file, void *data, size_t size), (file, data, size))
PLAIN(pread, READ, ssize_t, (int file, void *data, size_t size, off_t at), (file, data, size, at))
PLAIN(pread64, READ, ssize_t, (int file, void *data, size_t size, off64_t at), (file, data, size, at))
PLAIN(ftruncate, TRUNCATE, int, (int file, off_t size), (file, size))
PLAIN(ftruncate64, TRUNCATE, int, (int file, off64_t size), (file, size))

#define WRITING(name, parameters, whole, half) \
    ssize_t name parameters { \
        REAL(name); \
        char path[PATH_MAX]; \
        if (!path_of(file, path)) return real whole; \
        int fault = fails(WRITE); \
        if (fault == 1) return -1; \
        if (is_log(path)) { \
            atomic_fetch_add(&control->log_writes, 1); \
            atomic_fetch_add(&control->log_unsynced, 1); \
        } \
        return fault && size > 1 ? real half : real whole; \
    }

WRITING(write, (int file, const void *data, size_t size), (file, data, size), (file, data, size / 2))
WRITING(pwrite, (int file, const void *data, size_t size, off_t at), (file, data, size, at), (file, data, size / 2, at))
WRITING(pwrite64, (int file, const void *data, size_t size, off64_t at), (file, data, size, at), (file, data, size / 2, at))

#define SYNCING(name) \
    int name(int file) { \
        REAL(name); \
        char path[PATH_MAX]; \
        if (!path_of(file, path)) return real(file); \
        if (fails(SYNC)) return -1; \
        uint32_t before = control->log_unsynced; \
        int result = real(file); \
        if (result == 0 && is_log(path)) atomic_fetch_sub(&control->log_unsynced, before); \
        return result; \
    }

SYNCING(fsync)
SYNCING(fdatasync)

#define OPENING(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        if (concerns(path) && fails(OPEN)) return -1; \
        return real(path, flags, mode); \
    }

OPENING(open)
OPENING(open64)
