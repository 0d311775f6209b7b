/* Players that cost next to nothing, for measurements under load.
 *
 *     players PORT PLAYERS CHANNELS PATH_PREFIX WARM_UP_S SECONDS
 *
 * Player i asks 127.0.0.1:PORT for PATH_PREFIX with i mod CHANNELS + 1 behind it, and has the
 * kernel throw the body away (MSG_TRUNC, tcp(7)). After WARM_UP_S it prints "counting"; after
 * SECONDS more "counted", with the seconds that it were, and a line for each player: the bytes it
 * took in that time, the milliseconds to its first byte (-1: none came) and 1 while it is
 * connected and was answered with 200. It reads on until its standard input is closed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, GULP_BYTES = 1 << 20 };

struct player {
    int socket;
    bool asked, well;
    double first_ms;
    int64_t counted_bytes;
};

static const char *const answer = "HTTP/1.1 200 ";
static double begun;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void dial(struct player *player, int poller, int port) {
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = player};
    player->socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    player->first_ms = -1;
    player->well = true;
    if (player->socket < 0) fail("socket");
    if (connect(player->socket, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS)
        fail("connect");
    if (epoll_ctl(poller, EPOLL_CTL_ADD, player->socket, &event)) fail("epoll_ctl");
}

static void hang_up(struct player *player) {
    player->well = false;
    close(player->socket);
}

static void ask(struct player *player, int poller, const char *prefix, int channel) {
    char request[512];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = player};
    int length = snprintf(request, sizeof request,
                          "GET %s%d HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench/%d\r\n\r\n",
                          prefix, channel, player->socket);
    player->asked = true;
    if (send(player->socket, request, (size_t)length, MSG_NOSIGNAL) != length) hang_up(player);
    else if (epoll_ctl(poller, EPOLL_CTL_MOD, player->socket, &event)) fail("epoll_ctl");
}

static void take(struct player *player, bool counting) {
    char head[64];
    ssize_t took;
    if (player->first_ms < 0) {
        took = recv(player->socket, head, sizeof head, 0);
        player->first_ms = (now() - begun) * 1e3;
        if (took < (ssize_t)strlen(answer) || memcmp(head, answer, strlen(answer))) {
            hang_up(player);
            return;
        }
    } else {
        took = recv(player->socket, NULL, GULP_BYTES, MSG_TRUNC);
    }
    if (took > 0) player->counted_bytes += counting ? took : 0;
    else if (took == 0 || errno != EAGAIN) hang_up(player);
}

static void tell(const struct player *players, int count, double seconds) {
    printf("counted %.4f\n", seconds);
    fflush(stdout); /* whoever reads the processor time does it now */
    for (int i = 0; i < count; i++)
        printf("%lld %.1f %d\n", (long long)players[i].counted_bytes, players[i].first_ms,
               players[i].well);
    fflush(stdout);
}

int main(int count, char **arguments) {
    if (count != 7) {
        fputs("usage: players PORT PLAYERS CHANNELS PATH_PREFIX WARM_UP_S SECONDS\n", stderr);
        return 2;
    }
    int port = atoi(arguments[1]), wanted = atoi(arguments[2]), channels = atoi(arguments[3]);
    double warm_up_s = atof(arguments[5]), seconds = atof(arguments[6]), since = 0;
    bool counting = false, told = false;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int poller = epoll_create1(0);
    struct epoll_event parent = {.events = EPOLLIN, .data.ptr = NULL}, happened[EVENTS];
    if (epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &parent)) fail("epoll_ctl");
    struct player *players = calloc((size_t)wanted, sizeof *players);
    if (!players) fail("calloc");
    begun = now();
    for (int i = 0; i < wanted; i++) dial(&players[i], poller, port);
    for (;;) {
        int events = epoll_wait(poller, happened, EVENTS, 10);
        double time = now();
        for (int i = 0; i < events; i++) {
            struct player *player = happened[i].data.ptr;
            if (!player) return 0;
            if (player->asked) take(player, counting && !told);
            else ask(player, poller, arguments[4], (int)(player - players) % channels + 1);
        }
        if (!counting && time - begun >= warm_up_s) {
            counting = true;
            since = time;
            puts("counting");
            fflush(stdout);
        } else if (counting && !told && time - since >= seconds) {
            told = true;
            tell(players, wanted, time - since);
        }
    }
}
