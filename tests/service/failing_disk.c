/* A disk that fails at a word: preloaded into a bridge, it stands between SQLite and the kernel.
 *
 * DISK_FAULT names a file. While that file is there, its first line says what becomes of writes and
 * syncs of files named *plexbridge.db*: "readonly" (EROFS), "broken" (EIO), or "slow N" (a sync
 * takes N milliseconds more, or until the file is gone). Everything else passes unchanged. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 64, PATH_BYTES = 512, NAP_MS = 20 };

static int is_database(int fd) {
    char link[PATH_BYTES], path[PATH_BYTES];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, "plexbridge.db") != NULL;
}

/* The errno to fail with, or 0; a slow disk keeps a sync waiting here. */
static int fault(int fd, int is_sync) {
    const char *name = getenv("DISK_FAULT");
    if (name == NULL || access(name, F_OK) != 0 || !is_database(fd)) return 0;
    char line[LINE_BYTES] = "";
    FILE *file = fopen(name, "r");
    if (file == NULL) return 0;
    if (fgets(line, sizeof line, file) == NULL) line[0] = 0;
    fclose(file);
    if (strncmp(line, "readonly", 8) == 0) return EROFS;
    if (strncmp(line, "broken", 6) == 0) return EIO;
    if (strncmp(line, "slow ", 5) == 0 && is_sync) {
        long naps = strtol(line + 5, NULL, 10) / NAP_MS;
        struct timespec nap = {0, NAP_MS * 1000000L};
        for (; naps > 0 && access(name, F_OK) == 0; naps--) nanosleep(&nap, NULL);
    }
    return 0;
}

#define REAL(name, type) \
    static type real; \
    if (real == NULL) real = (type)dlsym(RTLD_NEXT, name)

typedef ssize_t (*pwrite_call)(int, const void *, size_t, off_t);
typedef ssize_t (*pwrite64_call)(int, const void *, size_t, off64_t);
typedef ssize_t (*write_call)(int, const void *, size_t);
typedef int (*sync_call)(int);

ssize_t pwrite(int fd, const void *body, size_t size, off_t at) {
    REAL("pwrite", pwrite_call);
    return (errno = fault(fd, 0)) ? -1 : real(fd, body, size, at);
}

ssize_t pwrite64(int fd, const void *body, size_t size, off64_t at) {
    REAL("pwrite64", pwrite64_call);
    return (errno = fault(fd, 0)) ? -1 : real(fd, body, size, at);
}

ssize_t write(int fd, const void *body, size_t size) {
    REAL("write", write_call);
    return (errno = fault(fd, 0)) ? -1 : real(fd, body, size);
}

int fsync(int fd) {
    REAL("fsync", sync_call);
    return (errno = fault(fd, 1)) ? -1 : real(fd);
}

int fdatasync(int fd) {
    REAL("fdatasync", sync_call);
    return (errno = fault(fd, 1)) ? -1 : real(fd);
}
