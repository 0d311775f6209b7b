/* A pretend provider, for measurements under load.
 *
 *     provider BYTES_PER_S FILE
 *
 * Listens on a free port of loopback and prints its number. Every request, whatever its path, is
 * answered with FILE over and over, at BYTES_PER_S after a lead of 64 KiB; a body goes out in
 * pieces of 20 ms, as from a provider that is not far. It ends when its standard input is closed,
 * so it never outlives whoever started it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { TICK_MS = 20, LEAD_BYTES = 64 * 1024, DEBT_S = 4, EVENTS = 256 };

struct viewer {
    int socket;
    bool asked, gone;
    double since;    /* when it was answered */
    int64_t sent;    /* body bytes so far */
    size_t place;    /* of the next byte in the file */
    struct viewer *next;
};

static struct viewer *viewers;
static struct viewer listener_mark, timer_mark, parent_mark; /* tell epoll's answers apart */
static int poller;
static const char *film;
static size_t film_bytes;
static double bytes_per_s;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void watch(int fd, struct viewer *who) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = who};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
}

static void load(const char *path) {
    struct stat status;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &status)) fail(path);
    film_bytes = (size_t)status.st_size;
    film = mmap(NULL, film_bytes, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (film == MAP_FAILED) fail("mmap");
    close(fd);
}

static int start_listening(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) || listen(fd, 4096)) fail("listen");
    if (getsockname(fd, (struct sockaddr *)&at, &size)) fail("getsockname");
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

static void welcome(int listener) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct viewer *viewer = calloc(1, sizeof *viewer);
        if (!viewer) fail("calloc");
        viewer->socket = fd;
        viewer->next = viewers;
        viewers = viewer;
        watch(fd, viewer);
    }
}

static void feed(struct viewer *viewer, double time) {
    int64_t due = (int64_t)((time - viewer->since) * bytes_per_s) + LEAD_BYTES;
    int64_t debt_max = (int64_t)(bytes_per_s * DEBT_S);
    if (due - viewer->sent > debt_max) viewer->sent = due - debt_max;
    while (viewer->sent < due) {
        size_t left = (size_t)(due - viewer->sent), run = film_bytes - viewer->place;
        ssize_t took = send(viewer->socket, film + viewer->place, left < run ? left : run,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (took <= 0) {
            viewer->gone = errno != EAGAIN;
            return;
        }
        viewer->sent += took;
        viewer->place = (viewer->place + (size_t)took) % film_bytes;
    }
}

static void hear(struct viewer *viewer, uint32_t events) {
    static const char head[] =
        "HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nConnection: close\r\n\r\n";
    char request[8192];
    if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP) ||
        recv(viewer->socket, request, sizeof request, 0) <= 0) {
        viewer->gone = true;
    } else if (!viewer->asked) {
        viewer->asked = true;
        viewer->since = now();
        viewer->gone = send(viewer->socket, head, sizeof head - 1, MSG_NOSIGNAL) < 0;
        if (!viewer->gone) feed(viewer, viewer->since);
    }
}

static void feed_all(void) {
    double time = now();
    struct viewer **link = &viewers;
    while (*link) {
        struct viewer *viewer = *link;
        if (viewer->asked && !viewer->gone) feed(viewer, time);
        if (viewer->gone) {
            *link = viewer->next;
            close(viewer->socket);
            free(viewer);
        } else {
            link = &viewer->next;
        }
    }
}

int main(int count, char **arguments) {
    if (count != 3) {
        fputs("usage: provider BYTES_PER_S FILE\n", stderr);
        return 2;
    }
    bytes_per_s = atof(arguments[1]);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    load(arguments[2]);
    poller = epoll_create1(0);
    int listener = start_listening(), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct itimerspec every = {{0, TICK_MS * 1000000}, {0, TICK_MS * 1000000}};
    if (timerfd_settime(timer, 0, &every, NULL)) fail("timerfd_settime");
    watch(listener, &listener_mark);
    watch(timer, &timer_mark);
    watch(STDIN_FILENO, &parent_mark);
    struct epoll_event happened[EVENTS];
    for (;;) {
        int events = epoll_wait(poller, happened, EVENTS, -1);
        bool tick = false;
        for (int i = 0; i < events; i++) {
            struct viewer *who = happened[i].data.ptr;
            if (who == &parent_mark) return 0;
            if (who == &timer_mark) tick = true;
            else if (who == &listener_mark) welcome(listener);
            else if (!who->gone) hear(who, happened[i].events);
        }
        uint64_t ticks;
        /* Viewers are freed here only: the answers above may name one twice. */
        if (tick && read(timer, &ticks, sizeof ticks) > 0) feed_all();
    }
}
