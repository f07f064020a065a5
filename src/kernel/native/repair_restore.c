/*
 * The taking side. Everything up to the point of no return is silent: a close in repair mode sends nothing.
 *
 *   receive queue             rcvNxt − receive_bytes … rcvNxt
 *   send queue, sent          writeSeq − send_bytes … writeSeq − unsentBytes
 *   send queue, never sent    writeSeq − unsentBytes … writeSeq
 */
#include "repair.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TCPOPT_MSS_CODE 2
#define TCPOPT_WINDOW_CODE 3
#define TCPOPT_SACK_PERM_CODE 4
#define TCPOPT_TIMESTAMP_CODE 8
#define MAX_WINDOW_UNSCALED 65535
#define MAX_USER_MSS 32767 /* MAX_TCP_WINDOW: TCP_MAXSEG takes no more; only the loopback interface has more */

static socklen_t get_address(struct sockaddr_storage *to, uint32_t family, const uint8_t *address,
                             const uint8_t *port) {
  memset(to, 0, sizeof(*to));
  if (family == 6) {
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)to;
    six->sin6_family = AF_INET6;
    memcpy(&six->sin6_addr, address, 16);
    memcpy(&six->sin6_port, port, 2);
    return sizeof(*six);
  }
  struct sockaddr_in *four = (struct sockaddr_in *)to;
  four->sin_family = AF_INET;
  memcpy(&four->sin_addr, address + 12, 4);
  memcpy(&four->sin_port, port, 2);
  return sizeof(*four);
}

/* Only what differs from a new socket's: each is a system call. */
static int set_options(int fd, uint32_t *r, bool mapped) {
  bool failed = false;
  if (r[R_FAMILY] == 6 && mapped) failed |= baton_set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0) != 0;
  if (!failed && r[R_MARK] != 0) failed |= baton_set_int(fd, SOL_SOCKET, SO_MARK, (int)r[R_MARK]) != 0;
  if (!failed && r[R_TOS] != 0) {
    failed |= mapped ? baton_set_int(fd, IPPROTO_IP, IP_TOS, (int)r[R_TOS]) != 0
                     : baton_set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, (int)r[R_TOS]) != 0;
  }
  if (!failed && r[R_NO_DELAY] != 0) failed |= baton_set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1) != 0;
  if (!failed && r[R_USER_TIMEOUT_MS] != 0) {
    failed |= baton_set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)r[R_USER_TIMEOUT_MS]) != 0;
  }
  if (!failed && r[R_KEEP_ALIVE] != 0) {
    failed |= baton_set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)r[R_KEEP_IDLE]) != 0 ||
              baton_set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, (int)r[R_KEEP_INTERVAL]) != 0 ||
              baton_set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, (int)r[R_KEEP_COUNT]) != 0 ||
              baton_set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1) != 0;
  }
  if (failed) return baton_repair_fail(r, STEP_SET_OPTIONS, errno);
  const char *name = (const char *)&r[R_CONGESTION];
  if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strnlen(name, 4 * sizeof(uint32_t))) != 0) {
    return baton_repair_fail(r, STEP_SET_CONGESTION, errno);
  }
  return STEP_NONE;
}

/* Makes one buffer at least `wanted` (as it reads back, that is twice what is asked for). Without CAP_NET_ADMIN in the
   first user namespace the system's limit holds, and filling the queue says whether it was enough. */
static int grow_buffer(int fd, uint32_t *r, int name, int force, uint32_t wanted, bool *grown) {
  int have = 0;
  socklen_t length = sizeof(have);
  if (getsockopt(fd, SOL_SOCKET, name, &have, &length) != 0) return baton_repair_fail(r, STEP_BUFFERS, errno);
  if ((uint32_t)have >= wanted) return STEP_NONE;
  *grown = true;
  int half = (int)(wanted / 2 + wanted % 2);
  if (baton_set_int(fd, SOL_SOCKET, force, half) == 0) return STEP_NONE;
  if (errno != EPERM || baton_set_int(fd, SOL_SOCKET, name, half) != 0) return baton_repair_fail(r, STEP_BUFFERS, errno);
  return STEP_NONE;
}

static int size_buffers(int fd, uint32_t *r) {
  bool grown = false;
  int step = grow_buffer(fd, r, SO_RCVBUF, SO_RCVBUFFORCE, r[R_RECEIVE_BUFFER], &grown);
  if (step == STEP_NONE && r[R_SEND_BUFFER] != 0) {
    step = grow_buffer(fd, r, SO_SNDBUF, SO_SNDBUFFORCE, r[R_SEND_BUFFER], &grown);
  }
  if (step != STEP_NONE || !grown) return step;
  /* Setting a size locks it; let autotuning go on from there. */
  if (baton_set_int(fd, SOL_SOCKET, SO_BUF_LOCK, 0) != 0) return baton_repair_fail(r, STEP_BUFFERS, errno);
  return STEP_NONE;
}

static int set_sequence(int fd, uint32_t *r, int queue, uint32_t sequence) {
  if (baton_set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, queue) != 0) return baton_repair_fail(r, STEP_SELECT_QUEUE, errno);
  if (baton_set_int(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, (int)sequence) != 0) {
    return baton_repair_fail(r, STEP_SET_SEQUENCE, errno);
  }
  return STEP_NONE;
}

static int set_negotiated(int fd, uint32_t *r) {
  struct tcp_repair_opt options[4];
  socklen_t count = 0;
  if (r[R_MSS] > MAX_USER_MSS) options[count++] = (struct tcp_repair_opt){TCPOPT_MSS_CODE, r[R_MSS]};
  if (r[R_WINDOW_SCALING] != 0) {
    options[count++] =
        (struct tcp_repair_opt){TCPOPT_WINDOW_CODE, (r[R_SND_WSCALE] & 0xffff) | r[R_RCV_WSCALE] << 16};
  }
  if (r[R_SACK] != 0) options[count++] = (struct tcp_repair_opt){TCPOPT_SACK_PERM_CODE, 0};
  if (r[R_TIMESTAMPS] != 0) options[count++] = (struct tcp_repair_opt){TCPOPT_TIMESTAMP_CODE, 0};
  if (count > 0 && setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, options, count * sizeof(options[0])) != 0) {
    return baton_repair_fail(r, STEP_SET_TCP_OPTIONS, errno);
  }
  if (r[R_TIMESTAMPS] != 0 && baton_set_int(fd, IPPROTO_TCP, TCP_TIMESTAMP, (int)r[R_TIMESTAMP]) != 0) {
    return baton_repair_fail(r, STEP_SET_TIMESTAMP, errno);
  }
  return STEP_NONE;
}

/* One send() queues at most about 17 pages. */
static int fill(int fd, uint32_t *r, int step, const uint8_t *bytes, size_t length) {
  while (length > 0) {
    ssize_t done = send(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return baton_repair_fail(r, step, done < 0 ? errno : EAGAIN);
    bytes += done;
    length -= (size_t)done;
  }
  return STEP_NONE;
}

static int fill_send_queue(int fd, uint32_t *r, const uint8_t *bytes, size_t length) {
  size_t unsent = r[R_UNSENT_BYTES] < length ? r[R_UNSENT_BYTES] : length;
  if (length == 0) return STEP_NONE;
  if (baton_set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE) != 0) {
    return baton_repair_fail(r, STEP_SELECT_QUEUE, errno);
  }
  int step = fill(fd, r, STEP_FILL_SEND, bytes, length - unsent);
  if (step != STEP_NONE || unsent == 0) return step;
  /* Whatever is written in repair counts as sent. So the tail is written with repair off for a moment: the send window
     of a socket that has just connected is still 0, and the lock keeps updates out, so nothing can leave. */
  if (baton_set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP) != 0) {
    return baton_repair_fail(r, STEP_REPAIR_OFF, errno);
  }
  step = fill(fd, r, STEP_FILL_UNSENT, bytes + (length - unsent), unsent);
  if (baton_set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON) != 0 && step == STEP_NONE) {
    step = baton_repair_fail(r, STEP_REPAIR_ON, errno);
  }
  return step;
}

static int set_window(int fd, uint32_t *r) {
  /* As after a freeze: while frozen, a window probe must not send what was never sent. */
  bool hold = r[R_FINISH] == FINISH_FROZEN && r[R_UNSENT_BYTES] != 0;
  struct tcp_repair_window window = {.snd_wl1 = r[R_SND_WL1],
                                     .snd_wnd = hold ? 0 : r[R_SND_WND],
                                     .max_window = r[R_MAX_WINDOW],
                                     .rcv_wnd = r[R_RCV_WND],
                                     .rcv_wup = r[R_RCV_WUP]};
  if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, sizeof(window)) != 0) {
    return baton_repair_fail(r, STEP_SET_WINDOW, errno);
  }
  return STEP_NONE;
}

static int prepare(int fd, uint32_t *r, const uint8_t *key, size_t receive_bytes, size_t send_bytes, bool lock) {
  struct sockaddr_storage address;
  socklen_t length;
  int step = set_options(fd, r, baton_repair_is_mapped(key));
  if (step == STEP_NONE) step = size_buffers(fd, r);
  if (step != STEP_NONE) return step;
  /* Without it the socket starts with 524-byte segments. */
  int mss = r[R_MSS] > MAX_USER_MSS ? MAX_USER_MSS : (int)r[R_MSS];
  if (baton_set_int(fd, IPPROTO_TCP, TCP_MAXSEG, mss) != 0) return baton_repair_fail(r, STEP_SET_MAXSEG, errno);
  /* connect() picks a receive scale by itself, and REPAIR_OPTIONS can only set one; this limit makes it pick 0. */
  if (r[R_WINDOW_SCALING] == 0 && baton_set_int(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, MAX_WINDOW_UNSCALED) != 0) {
    return baton_repair_fail(r, STEP_BUFFERS, errno);
  }
  if (baton_set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON) != 0) return baton_repair_fail(r, STEP_REPAIR_ON, errno);
  if (lock) step = baton_repair_lock(fd, r);
  if (step != STEP_NONE) return step;
  length = get_address(&address, r[R_FAMILY], key + 16, key + 34);
  if (bind(fd, (struct sockaddr *)&address, length) != 0) return baton_repair_fail(r, STEP_BIND, errno);
  step = set_sequence(fd, r, TCP_SEND_QUEUE, r[R_WRITE_SEQ] - (uint32_t)send_bytes);
  if (step == STEP_NONE) step = set_sequence(fd, r, TCP_RECV_QUEUE, r[R_RCV_NXT] - (uint32_t)receive_bytes);
  if (step != STEP_NONE) return step;
  length = get_address(&address, r[R_FAMILY], key, key + 32);
  if (connect(fd, (struct sockaddr *)&address, length) != 0) return baton_repair_fail(r, STEP_CONNECT, errno);
  return set_negotiated(fd, r);
}

static int go_live(int fd, uint32_t *r, bool locked) {
  if (r[R_FINISH] == FINISH_FROZEN) return STEP_NONE;
  int step = locked ? baton_repair_unlock(fd, r) : STEP_NONE; /* before the probe: its answer may come at once */
  if (step != STEP_NONE) return step;
  int off = r[R_FINISH] == FINISH_QUIET ? TCP_REPAIR_OFF_NO_WP : TCP_REPAIR_OFF;

  /* ---- Point of no return: from here on the connection is this host's, and segments leave. ---- */
  if (baton_set_int(fd, IPPROTO_TCP, TCP_REPAIR, off) != 0) return baton_repair_fail(r, STEP_REPAIR_OFF, errno);

  /* Neither can fail on a live TCP socket: an int of the kernel's own choosing. The first lets a listener start on the
     port beside this socket; the second, on a socket that was never corked, sends what the window allows. */
  (void)baton_set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (r[R_UNSENT_BYTES] != 0) (void)baton_set_int(fd, IPPROTO_TCP, TCP_CORK, 0);
  return STEP_NONE;
}

int baton_repair_restore(uint32_t *r, const uint8_t *key, const uint8_t *receive, size_t receive_bytes,
                         const uint8_t *send, size_t send_bytes, int *fd_out) {
  bool lock = r[R_FINISH] == FINISH_FROZEN || r[R_UNSENT_BYTES] != 0;
  int family = r[R_FAMILY] == 6 ? AF_INET6 : AF_INET;
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (fd < 0) return baton_repair_fail(r, STEP_SOCKET, errno);
  int step = prepare(fd, r, key, receive_bytes, send_bytes, lock);
  /* The receive queue is still selected; its end must be in place before the window is. */
  if (step == STEP_NONE) step = fill(fd, r, STEP_FILL_RECEIVE, receive, receive_bytes);
  if (step == STEP_NONE) step = fill_send_queue(fd, r, send, send_bytes);
  if (step == STEP_NONE) step = set_window(fd, r);
  if (step == STEP_NONE) step = go_live(fd, r, lock);
  if (step != STEP_NONE) {
    close(fd);
    return step;
  }
  *fd_out = fd;
  return STEP_NONE;
}
