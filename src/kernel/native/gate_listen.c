/* Listening sockets of the gate. What is set here is inherited by every accepted connection. */
#include "gate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

void gate_address(const struct sockaddr_storage *from, uint8_t address[16], uint8_t port[2]) {
  if (from->ss_family == AF_INET) {
    const struct sockaddr_in *in = (const struct sockaddr_in *)from;
    memset(address, 0, 10);
    memset(address + 10, 0xff, 2);
    memcpy(address + 12, &in->sin_addr, 4);
    memcpy(port, &in->sin_port, 2);
    return;
  }
  const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;
  memcpy(address, &in6->sin6_addr, 16);
  memcpy(port, &in6->sin6_port, 2);
}

static bool parse_address(const char *address, uint16_t port, struct sockaddr_storage *to, socklen_t *length,
                          bool *any) {
  struct sockaddr_in *in = (struct sockaddr_in *)to;
  struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;
  memset(to, 0, sizeof(*to));
  if (inet_pton(AF_INET, address, &in->sin_addr) == 1) {
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    *length = sizeof(*in);
    *any = in->sin_addr.s_addr == htonl(INADDR_ANY);
    return true;
  }
  if (inet_pton(AF_INET6, address, &in6->sin6_addr) != 1) return false;
  in6->sin6_family = AF_INET6;
  in6->sin6_port = htons(port);
  *length = sizeof(*in6);
  *any = IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
  return true;
}

static int fail(int fd, const char **step, const char *name) {
  int err = errno;
  if (fd >= 0) close(fd);
  *step = name;
  return -err;
}

int gate_make_listener(gate_listener *listener, const char *address, uint16_t port, int backlog, int defer_seconds,
                       const char **step) {
  struct sockaddr_storage at;
  socklen_t length;
  const int on = 1;
  if (!parse_address(address, port, &at, &length, &listener->any_address)) {
    errno = EINVAL;
    return fail(-1, step, "inet_pton");
  }
  /* IPPROTO_TCP by name: an MPTCP socket can not be moved. */
  int fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (fd < 0) return fail(fd, step, "socket");
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0) return fail(fd, step, "SO_REUSEADDR");
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) return fail(fd, step, "SO_REUSEPORT");
  /* Urgent data stays in the stream: otherwise a byte could be seen by the peek and missing from the read. */
  if (setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)) != 0) return fail(fd, step, "SO_OOBINLINE");
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) return fail(fd, step, "TCP_NODELAY");
  if (at.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) {
    return fail(fd, step, "IPV6_V6ONLY");
  }
  if (defer_seconds > 0 &&
      setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer_seconds, sizeof(defer_seconds)) != 0) {
    return fail(fd, step, "TCP_DEFER_ACCEPT");
  }
  if (bind(fd, (struct sockaddr *)&at, length) != 0) return fail(fd, step, "bind");
  if (listen(fd, backlog) != 0) return fail(fd, step, "listen");
  length = sizeof(at);
  if (getsockname(fd, (struct sockaddr *)&at, &length) != 0) return fail(fd, step, "getsockname");
  gate_address(&at, listener->local, (uint8_t *)&listener->port);
  listener->fd = fd;
  return fd;
}
