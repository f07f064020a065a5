/* What the benchmarks' clients share: a target, a connection to it, a request, an answer whose body is thrown away. */
#pragma once
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct target {
  struct sockaddr_in address;
  char host[64];
};

static inline void fail(const char *what) {
  perror(what);
  exit(1);
}

static inline long long number(const char *text, long long least, long long most) {
  char *end;
  long long value = strtoll(text, &end, 10);
  if (*text == '\0' || *end != '\0' || value < least || value > most) {
    fprintf(stderr, "%s is no number from %lld to %lld\n", text, least, most);
    exit(2);
  }
  return value;
}

/* ADDRESS:PORT:HOST, IPv4. */
static inline struct target parse_target(const char *text) {
  struct target target = {.address = {.sin_family = AF_INET}};
  char address[16];
  unsigned port;
  if (sscanf(text, "%15[0-9.]:%u:%63s", address, &port, target.host) != 3 || port == 0 || port > 65535 ||
      inet_pton(AF_INET, address, &target.address.sin_addr) != 1) {
    fprintf(stderr, "%s is no ADDRESS:PORT:HOST\n", text);
    exit(2);
  }
  target.address.sin_port = htons((unsigned short)port);
  return target;
}

static inline double now_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* A connection on its way, from an address if one is given; -1 with errno when there is none. */
static inline int dial(const struct target *target, const struct in_addr *from, int receive_buffer) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (receive_buffer > 0) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  if (from != NULL) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = *from};
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0) fail("bind");
  }
  if (connect(fd, (const struct sockaddr *)&target->address, sizeof target->address) == 0 || errno == EINPROGRESS)
    return fd;
  int why = errno;
  close(fd);
  errno = why;
  return -1;
}

/* Kept alive, and the client closes: a server that closed first would hold the port in TIME_WAIT. */
static inline int ask(int fd, const struct target *target, long long size) {
  char request[256];
  int length = snprintf(request, sizeof request,
                        "GET /bytes/%lld HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n", size,
                        target->host);
  return send(fd, request, (size_t)length, MSG_NOSIGNAL) == length ? 0 : -1;
}

struct answer {
  char head[1024];
  unsigned head_bytes;
  long long left; /* of the body; -1 while the head is not whole */
};

enum taken { TAKEN_NOTHING, TAKEN_SOME, TAKEN_WHOLE, TAKEN_LOST };

static inline void expect(struct answer *answer) {
  answer->head_bytes = 0;
  answer->left = -1;
}

/* The head into its buffer, and by how much of the body came along; -1 unless it is a 200. */
static inline int take_head(int fd, struct answer *answer, long long size) {
  ssize_t got = recv(fd, answer->head + answer->head_bytes, sizeof answer->head - 1 - answer->head_bytes, 0);
  if (got <= 0) return got < 0 && errno == EAGAIN ? 0 : -1;
  answer->head_bytes += (unsigned)got;
  answer->head[answer->head_bytes] = '\0';
  char *end = strstr(answer->head, "\r\n\r\n");
  if (end == NULL) return answer->head_bytes < sizeof answer->head - 1 ? (int)got : -1;
  if (strncmp(answer->head, "HTTP/1.1 200", 12) != 0) return -1;
  answer->left = size - (answer->head_bytes - (end + 4 - answer->head));
  return answer->left < 0 ? -1 : (int)got;
}

/*
 * What has come, at most `most` bytes, which is added to *bytes. The body is thrown away in the kernel (MSG_TRUNC,
 * tcp(7)): copying it would cost the client as much as the servers need to send it.
 */
static inline enum taken take(int fd, struct answer *answer, long long size, long long most, long long *bytes) {
  enum taken taken = TAKEN_NOTHING;
  if (answer->left < 0) {
    int got = take_head(fd, answer, size);
    if (got < 0) return TAKEN_LOST;
    if (got == 0) return TAKEN_NOTHING;
    *bytes += got;
    most -= got;
    taken = TAKEN_SOME;
  }
  while (answer->left > 0 && most > 0) {
    long long wanted = answer->left < most ? answer->left : most;
    if (wanted > 1 << 30) wanted = 1 << 30;
    ssize_t got = recv(fd, NULL, (size_t)wanted, MSG_TRUNC);
    if (got < 0 && errno == EAGAIN) return taken;
    if (got <= 0) return TAKEN_LOST;
    *bytes += got;
    most -= got;
    answer->left -= got;
    taken = TAKEN_SOME;
  }
  return answer->left == 0 ? TAKEN_WHOLE : taken;
}
