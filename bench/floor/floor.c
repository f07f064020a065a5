/*
 * What the system calls of a handoff, and of a proxied connection, cost this machine when nothing else is done: no event
 * loop, no parsing, no JavaScript. Connections come in batches; each step of a batch is done for all of it, and timed.
 *
 *   floor CLIENT-NETNS FRONTEND-NETNS BACKEND-NETNS ADDRESS UPSTREAM-ADDRESS BATCH ROUNDS
 *
 * ADDRESS is the VIP, at frontend and backend. The freeze and the restore are the product's own C (src/kernel/native).
 * Prints one JSON object: microseconds a connection by step, one number for each round.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../../src/kernel/native/repair.h"

#define MAX_BATCH 64
#define MAX_ROUNDS 2000
#define WARM_UP 20
#define SCRATCH 4096
#define ANSWER 1200 /* 1 KiB and its head */
#define OFFER 340   /* a snapshot with its notes, as a frame */
#define KEY_BYTES 36
#define VALUE_BYTES 72
#define PATIENCE_MS 2000

static const char request[] =
    "GET /bytes/1024 HTTP/1.1\r\nHost: www.example\r\nUser-Agent: bench\r\nAccept: */*\r\nConnection: close\r\n\r\n";
static char answer[ANSWER], buffer[MAX_BATCH * SCRATCH];
static int netns[3], batch;
enum place { CLIENT, FRONTEND, BACKEND };

#define STEPS(X)                                                                                                      \
  X(ACCEPT, "accept") X(PEEK, "peek") X(PARK, "park") X(FREEZE, "freeze") X(OFFERED, "offer") X(STEER, "steer")       \
  X(DISCARD, "discard") X(LINGER, "linger") X(RESTORE, "restore") X(ANSWERED, "answer") X(ENDED, "end")               \
  X(PROXY_ACCEPT, "proxy accept") X(PROXY_WATCH, "proxy watch") X(PROXY_READ, "proxy read")                           \
  X(PROXY_CONNECT, "proxy connect") X(PROXY_ASK, "proxy ask") X(PROXY_HEAR, "proxy hear")                             \
  X(PROXY_ANSWER, "proxy answer") X(PROXY_CLOSE, "proxy close") X(PROXY_CLOSE_UP, "proxy close upstream")
#define STEP_ENUM(name, text) S_##name,
#define STEP_TEXT(name, text) text,
enum step { STEPS(STEP_ENUM) S_COUNT };
static const char *const step_names[] = {STEPS(STEP_TEXT)};
static double times[S_COUNT][MAX_ROUNDS + WARM_UP];
static int round_now;

static void stop(const char *what) {
  perror(what);
  exit(1);
}

static void go(enum place place) {
  if (setns(netns[place], CLONE_NEWNET) != 0) stop("setns");
}

static double now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static double started_us;
static void begin(void) { started_us = now_us(); }
static void end(enum step step) { times[step][round_now] = (now_us() - started_us) / batch; }

static struct sockaddr_in at(const char *address, int port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  if (inet_pton(AF_INET, address, &to.sin_addr) != 1) stop(address);
  return to;
}

static int listen_at(enum place place, const char *address, struct sockaddr_in *bound) {
  const int on = 1, seconds = 5;
  socklen_t length = sizeof(*bound);
  *bound = at(address, 0);
  go(place);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)) != 0 ||
      bind(fd, (struct sockaddr *)bound, sizeof(*bound)) != 0 || listen(fd, 1024) != 0 ||
      getsockname(fd, (struct sockaddr *)bound, &length) != 0) {
    stop("listen");
  }
  return fd;
}

/* Clients take one port after the other: what a restored socket leaves at the backend must not be met again. */
#define FIRST_PORT 2000
#define LAST_PORT 64000
static int next_port = FIRST_PORT;

static int connect_from(enum place place, const struct sockaddr_in *to) {
  const int on = 1;
  go(place);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (place == CLIENT) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)next_port++)};
    if (bind(fd, (struct sockaddr *)&own, sizeof(own)) != 0) stop("bind");
  }
  if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) stop("socket");
  if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) != 0) stop("connect");
  return fd;
}

/* Until every socket has something to read. */
static void await(const int *fds, int count) {
  for (int i = 0; i < count; i++) {
    char one;
    for (int waited = 0; recv(fds[i], &one, 1, MSG_PEEK | MSG_DONTWAIT) < 0; waited++) {
      if (errno != EAGAIN || waited > PATIENCE_MS * 20) stop("await");
      usleep(50);
    }
  }
}

static void clients_ask(int *clients, const struct sockaddr_in *to) {
  for (int i = 0; i < batch; i++) {
    clients[i] = connect_from(CLIENT, to);
    if (send(clients[i], request, sizeof(request) - 1, MSG_NOSIGNAL) < 0) stop("ask");
  }
  usleep(2000); /* what was sent is received by now; accepting says whether it was */
}

static void clients_go(int *clients) {
  const struct linger reset = {.l_onoff = 1, .l_linger = 0}; /* no TIME_WAIT: thousands come after them */
  for (int i = 0; i < batch; i++) {
    setsockopt(clients[i], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(clients[i]);
  }
}

static void accept_all(int listener, int *fds) {
  for (int i = 0, waited = 0; i < batch;) {
    fds[i] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fds[i] >= 0) i++;
    else if (errno != EAGAIN || waited++ > 1000000) stop("accept");
  }
}

/* The flow table as the steering program has it, in one call a batch. */
static int table;
static void map_call(int command, const void *keys, const void *values) {
  union bpf_attr attr = {0};
  if (command == BPF_MAP_CREATE) {
    attr.map_type = BPF_MAP_TYPE_HASH;
    attr.key_size = KEY_BYTES;
    attr.value_size = VALUE_BYTES;
    attr.max_entries = 1 << 16;
    attr.map_flags = BPF_F_NO_PREALLOC;
    table = (int)syscall(SYS_bpf, command, &attr, sizeof(attr));
    if (table < 0) stop("bpf");
    return;
  }
  attr.batch.map_fd = (uint32_t)table;
  attr.batch.keys = (uint64_t)(uintptr_t)keys;
  attr.batch.values = (uint64_t)(uintptr_t)values;
  attr.batch.count = (uint32_t)batch;
  if (syscall(SYS_bpf, command, &attr, sizeof(attr)) != 0) stop("bpf");
}

static uint8_t keys[MAX_BATCH][KEY_BYTES], values[MAX_BATCH][VALUE_BYTES];
static uint32_t registers[MAX_BATCH][R_COUNT];

static void hand_over(int listener, const struct sockaddr_in *to, const int *channel) {
  int clients[MAX_BATCH], fds[MAX_BATCH];
  size_t needed;
  clients_ask(clients, to);
  go(FRONTEND);
  begin();
  accept_all(listener, fds);
  end(S_ACCEPT);
  begin();
  for (int i = 0; i < batch; i++) {
    if (recv(fds[i], buffer, SCRATCH, MSG_PEEK) != sizeof(request) - 1) stop("peek");
  }
  end(S_PEEK);
  for (int i = 0; i < batch; i++) { /* the gate has the addresses from accept */
    struct sockaddr_in peer;
    socklen_t length = sizeof(peer);
    if (getpeername(fds[i], (struct sockaddr *)&peer, &length) != 0) stop("getpeername");
    memset(keys[i], 0, KEY_BYTES);
    memset(keys[i] + 10, 0xff, 2);
    memset(keys[i] + 26, 0xff, 2);
    memcpy(keys[i] + 12, &peer.sin_addr, 4);
    memcpy(keys[i] + 28, &to->sin_addr, 4);
    memcpy(keys[i] + 32, &peer.sin_port, 2);
    memcpy(keys[i] + 34, &to->sin_port, 2);
  }
  begin();
  map_call(BPF_MAP_UPDATE_BATCH, keys, values);
  end(S_PARK);
  begin();
  for (int i = 0; i < batch; i++) {
    int step = baton_repair_freeze(fds[i], registers[i], (uint8_t *)buffer + i * SCRATCH, SCRATCH, keys[i], true, false,
                                   &needed);
    if (step != STEP_NONE || needed != 0 || registers[i][R_RCV_BYTES] != sizeof(request) - 1) stop("freeze");
  }
  end(S_FREEZE);
  static char frames[MAX_BATCH * OFFER];
  begin();
  if (write(channel[0], frames, (size_t)(batch * OFFER)) != batch * OFFER) stop("offer");
  end(S_OFFERED);
  for (int left = batch * OFFER; left > 0;) {
    ssize_t got = read(channel[1], frames, sizeof(frames));
    if (got <= 0) stop("channel");
    left -= (int)got;
  }
  begin();
  map_call(BPF_MAP_UPDATE_BATCH, keys, values);
  end(S_STEER);
  begin();
  for (int i = 0; i < batch; i++) {
    const int on = TCP_REPAIR_ON;
    if (setsockopt(fds[i], IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) != 0 || close(fds[i]) != 0) stop("discard");
  }
  end(S_DISCARD);
  begin(); /* CLOSED: it lingers; a minute later it is gone */
  static uint8_t found[MAX_BATCH][VALUE_BYTES];
  for (int i = 0; i < batch; i++) {
    union bpf_attr attr = {.map_fd = (uint32_t)table, .key = (uint64_t)(uintptr_t)keys[i],
                           .value = (uint64_t)(uintptr_t)found[i]};
    if (syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attr, sizeof(attr)) != 0) stop("lookup");
  }
  map_call(BPF_MAP_UPDATE_BATCH, keys, values);
  map_call(BPF_MAP_DELETE_BATCH, keys, NULL);
  end(S_LINGER);
  go(BACKEND);
  begin();
  for (int i = 0; i < batch; i++) {
    registers[i][R_FINISH] = FINISH_QUIET;
    registers[i][R_NO_DELAY] = 1;
    int step = baton_repair_restore(registers[i], keys[i], (uint8_t *)buffer + i * SCRATCH, sizeof(request) - 1, NULL, 0,
                                    &fds[i]);
    if (step != STEP_NONE) stop("restore");
  }
  end(S_RESTORE);
  begin();
  for (int i = 0; i < batch; i++) {
    if (recv(fds[i], buffer, sizeof(buffer), 0) != sizeof(request) - 1) stop("read");
    if (send(fds[i], answer, ANSWER, MSG_NOSIGNAL) != ANSWER) stop("answer");
  }
  end(S_ANSWERED);
  begin();
  for (int i = 0; i < batch; i++) close(fds[i]);
  end(S_ENDED);
  await(clients, batch);
  clients_go(clients);
}

/* One thread of a proxy: `upstream` has connections to the application, `served` their other ends. */
static void proxy(int listener, const struct sockaddr_in *to, int epoll, int *upstream, int *served,
                  const struct sockaddr_in *application, int applications) {
  int clients[MAX_BATCH], fds[MAX_BATCH];
  struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP};
  bool fresh = applications >= 0;
  clients_ask(clients, to);
  go(FRONTEND);
  begin();
  accept_all(listener, fds);
  end(S_PROXY_ACCEPT);
  begin();
  for (int i = 0; i < batch; i++) {
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event) != 0) stop("epoll_ctl");
  }
  end(S_PROXY_WATCH);
  begin();
  for (int i = 0; i < batch; i++) {
    if (recv(fds[i], buffer, SCRATCH, 0) != sizeof(request) - 1) stop("proxy read");
  }
  end(S_PROXY_READ);
  if (fresh) {
    begin();
    for (int i = 0; i < batch; i++) {
      const int on = 1;
      upstream[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      setsockopt(upstream[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      if (connect(upstream[i], (const struct sockaddr *)application, sizeof(*application)) != 0 && errno != EINPROGRESS) {
        stop("proxy connect");
      }
      if (epoll_ctl(epoll, EPOLL_CTL_ADD, upstream[i], &event) != 0) stop("epoll_ctl");
    }
    end(S_PROXY_CONNECT);
    for (int i = 0; i < batch; i++) {
      struct pollfd connected = {.fd = upstream[i], .events = POLLOUT};
      if (poll(&connected, 1, PATIENCE_MS) != 1) stop("proxy connect");
    }
  }
  begin();
  for (int i = 0; i < batch; i++) {
    if (send(upstream[i], request, sizeof(request) - 1, MSG_NOSIGNAL) < 0) stop("proxy ask");
  }
  end(S_PROXY_ASK);
  if (fresh) accept_all(applications, served);
  await(served, batch);
  for (int i = 0; i < batch; i++) {
    if (recv(served[i], buffer, sizeof(buffer), 0) <= 0 || send(served[i], answer, ANSWER, MSG_NOSIGNAL) < 0) stop("serve");
  }
  await(upstream, batch);
  usleep(500);
  begin();
  for (int i = 0; i < batch; i++) {
    if (recv(upstream[i], buffer, sizeof(buffer), 0) != ANSWER) stop("proxy hear");
  }
  end(S_PROXY_HEAR);
  begin();
  for (int i = 0; i < batch; i++) {
    if (send(fds[i], answer, ANSWER, MSG_NOSIGNAL) != ANSWER) stop("proxy answer");
  }
  end(S_PROXY_ANSWER);
  begin();
  for (int i = 0; i < batch; i++) close(fds[i]);
  end(S_PROXY_CLOSE);
  await(clients, batch);
  clients_go(clients);
  if (!fresh) return;
  begin();
  for (int i = 0; i < batch; i++) close(upstream[i]);
  end(S_PROXY_CLOSE_UP);
  for (int i = 0; i < batch; i++) close(served[i]);
}

static void report(int rounds) {
  for (int step = 0; step < S_COUNT; step++) {
    printf("%s\"%s\":[", step == 0 ? "{" : ",", step_names[step]);
    for (int i = 0; i < rounds; i++) printf("%s%.3f", i == 0 ? "" : ",", times[step][WARM_UP + i]);
    printf("]");
  }
  printf("}\n");
}

int main(int argc, char **argv) {
  if (argc != 8) return 2;
  for (int i = 0; i < 3; i++) {
    netns[i] = open(argv[1 + i], O_RDONLY | O_CLOEXEC);
    if (netns[i] < 0) stop(argv[1 + i]);
  }
  batch = atoi(argv[6]);
  const int rounds = atoi(argv[7]);
  if (batch < 1 || batch > MAX_BATCH || rounds < 1 || rounds > MAX_ROUNDS) return 2;
  if ((rounds + WARM_UP) * 3 * batch > LAST_PORT - FIRST_PORT) return 2;
  struct sockaddr_in vip, application, wanted;
  int listener = listen_at(FRONTEND, argv[4], &vip), applications = listen_at(BACKEND, argv[5], &application);
  int channel[2], ends = listen_at(BACKEND, argv[5], &wanted);
  channel[0] = connect_from(FRONTEND, &wanted);
  if (write(channel[0], "!", 1) != 1) stop("channel");
  usleep(10000);
  channel[1] = accept4(ends, NULL, NULL, SOCK_CLOEXEC);
  if (channel[1] < 0 || read(channel[1], buffer, 1) != 1) stop("channel");
  int kept[MAX_BATCH], kept_served[MAX_BATCH], fresh[MAX_BATCH], fresh_served[MAX_BATCH];
  for (int i = 0; i < batch; i++) {
    kept[i] = connect_from(FRONTEND, &application);
    if (write(kept[i], "!", 1) != 1) stop("upstream");
  }
  usleep(10000);
  accept_all(applications, kept_served);
  await(kept_served, batch);
  for (int i = 0; i < batch; i++) {
    if (recv(kept_served[i], buffer, 1, 0) != 1) stop("upstream");
  }
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  map_call(BPF_MAP_CREATE, NULL, NULL);
  for (round_now = 0; round_now < rounds + WARM_UP; round_now++) {
    hand_over(listener, &vip, channel);
    /* What both do is told of the second. */
    proxy(listener, &vip, epoll, fresh, fresh_served, &application, applications);
    proxy(listener, &vip, epoll, kept, kept_served, &application, -1);
  }
  report(rounds);
  return 0;
}
