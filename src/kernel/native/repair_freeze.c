/* The giving side: freeze and dump in one go, and the way back. Sources: Linux net/ipv4/tcp.c (TCP_REPAIR). */
#include "repair.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define TCP_ESTABLISHED_STATE 1
#define MAX_PASSES 8
#define MAX_SEGMENT 65535

int baton_repair_fail(uint32_t *r, int step, int err) {
  r[R_ERRNO] = (uint32_t)err;
  return step;
}

int baton_repair_lock(int fd, uint32_t *r) {
  struct sock_filter drop_all = BPF_STMT(BPF_RET | BPF_K, 0);
  struct sock_fprog program = {.len = 1, .filter = &drop_all};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0) {
    return baton_repair_fail(r, STEP_LOCK, errno);
  }
  return STEP_NONE;
}

int baton_repair_unlock(int fd, uint32_t *r) {
  int unused = 0;
  if (setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused)) != 0 && errno != ENOENT) {
    return baton_repair_fail(r, STEP_UNLOCK, errno);
  }
  return STEP_NONE;
}

static int get_u32(int fd, int level, int name, uint32_t *value) {
  socklen_t length = sizeof(*value);
  return getsockopt(fd, level, name, value, &length);
}

static int set_int(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof(value));
}

static int read_info(int fd, struct tcp_info *info, uint32_t *r) {
  socklen_t length = sizeof(*info);
  memset(info, 0, sizeof(*info));
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &length) != 0) return baton_repair_fail(r, STEP_INFO, errno);
  r[R_STATE] = info->tcpi_state;
  return info->tcpi_state == TCP_ESTABLISHED_STATE ? STEP_NONE : baton_repair_fail(r, STEP_STATE, 0);
}

/* Any segment that counted changes one of these: data, an ACK, a window update; a FIN or RST changes the state. */
static bool moved(const struct tcp_info *a, const struct tcp_info *b) {
  return a->tcpi_bytes_received != b->tcpi_bytes_received || a->tcpi_bytes_acked != b->tcpi_bytes_acked ||
         a->tcpi_snd_wnd != b->tcpi_snd_wnd || a->tcpi_unacked != b->tcpi_unacked ||
         a->tcpi_notsent_bytes != b->tcpi_notsent_bytes;
}

static void put_address(uint8_t *to, uint8_t *port, const struct sockaddr_storage *from) {
  if (from->ss_family == AF_INET6) {
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;
    memcpy(to, &six->sin6_addr, 16);
    memcpy(port, &six->sin6_port, 2);
    return;
  }
  const struct sockaddr_in *four = (const struct sockaddr_in *)from;
  memset(to, 0, 10);
  memset(to + 10, 0xff, 2);
  memcpy(to + 12, &four->sin_addr, 4);
  memcpy(port, &four->sin_port, 2);
}

static int read_key(int fd, uint32_t *r, uint8_t *key) {
  struct sockaddr_storage client, vip;
  socklen_t length = sizeof(client);
  memset(&client, 0, sizeof(client));
  memset(&vip, 0, sizeof(vip));
  if (getpeername(fd, (struct sockaddr *)&client, &length) != 0) {
    return baton_repair_fail(r, STEP_ADDRESSES, errno);
  }
  length = sizeof(vip);
  if (getsockname(fd, (struct sockaddr *)&vip, &length) != 0) return baton_repair_fail(r, STEP_ADDRESSES, errno);
  put_address(key, key + 32, &client);
  put_address(key + 16, key + 34, &vip);
  r[R_FAMILY] = vip.ss_family == AF_INET6 ? 6 : 4;
  return STEP_NONE;
}

bool baton_repair_is_mapped(const uint8_t *address) {
  static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return memcmp(address, prefix, sizeof(prefix)) == 0;
}

/* An IPv4 flow may stand on a socket of either family. */
static int read_family(int fd, uint32_t *r, const uint8_t *key) {
  uint32_t domain = AF_INET6;
  if (baton_repair_is_mapped(key) && get_u32(fd, SOL_SOCKET, SO_DOMAIN, &domain) != 0) {
    return baton_repair_fail(r, STEP_ADDRESSES, errno);
  }
  r[R_FAMILY] = domain == AF_INET6 ? 6 : 4;
  return STEP_NONE;
}

static int read_options(int fd, uint32_t *r, const uint8_t *key) {
  socklen_t length = 4 * sizeof(uint32_t);
  memset(&r[R_CONGESTION], 0, length);
  if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, &r[R_CONGESTION], &length) != 0 ||
      get_u32(fd, IPPROTO_TCP, TCP_NODELAY, &r[R_NO_DELAY]) != 0 ||
      get_u32(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &r[R_USER_TIMEOUT_MS]) != 0 ||
      get_u32(fd, SOL_SOCKET, SO_MARK, &r[R_MARK]) != 0 ||
      get_u32(fd, SOL_SOCKET, SO_KEEPALIVE, &r[R_KEEP_ALIVE]) != 0) {
    return baton_repair_fail(r, STEP_OPTIONS, errno);
  }
  if (r[R_KEEP_ALIVE] != 0 && (get_u32(fd, IPPROTO_TCP, TCP_KEEPIDLE, &r[R_KEEP_IDLE]) != 0 ||
                               get_u32(fd, IPPROTO_TCP, TCP_KEEPINTVL, &r[R_KEEP_INTERVAL]) != 0 ||
                               get_u32(fd, IPPROTO_TCP, TCP_KEEPCNT, &r[R_KEEP_COUNT]) != 0)) {
    return baton_repair_fail(r, STEP_OPTIONS, errno);
  }
  int rc = baton_repair_is_mapped(key) ? get_u32(fd, IPPROTO_IP, IP_TOS, &r[R_TOS])
                                       : get_u32(fd, IPPROTO_IPV6, IPV6_TCLASS, &r[R_TOS]);
  return rc == 0 ? STEP_NONE : baton_repair_fail(r, STEP_OPTIONS, errno);
}

static int dump_send_queue(int fd, uint32_t *r, const struct tcp_info *info) {
  int total = 0, unsent = 0;
  if (set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE) != 0) {
    return baton_repair_fail(r, STEP_SELECT_QUEUE, errno);
  }
  if (get_u32(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &r[R_WRITE_SEQ]) != 0) {
    return baton_repair_fail(r, STEP_GET_SEQUENCE, errno);
  }
  if ((info->tcpi_unacked != 0 || info->tcpi_notsent_bytes != 0) &&
      (ioctl(fd, SIOCOUTQ, &total) != 0 || ioctl(fd, SIOCOUTQNSD, &unsent) != 0)) {
    return baton_repair_fail(r, STEP_QUEUE_BYTES, errno);
  }
  r[R_SND_BYTES] = (uint32_t)total;
  r[R_UNSENT_BYTES] = (uint32_t)unsent;
  return STEP_NONE;
}

/* The receive queue is done last: with the send queue selected, an ACK from the backlog would mark unsent bytes as sent. */
static int dump_queues(int fd, uint32_t *r, const struct tcp_info *info, uint8_t *scratch, size_t capacity,
                       size_t *needed) {
  uint8_t urgent;
  int step = dump_send_queue(fd, r, info);
  if (step != STEP_NONE) return step;
  if (r[R_SND_BYTES] > 0 && r[R_SND_BYTES] <= capacity) {
    ssize_t got = recv(fd, scratch, capacity, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0) return baton_repair_fail(r, STEP_PEEK_SEND, errno);
    if ((size_t)got != r[R_SND_BYTES]) return baton_repair_fail(r, STEP_QUEUE_MISMATCH, 0);
  }
  if (set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE) != 0) {
    return baton_repair_fail(r, STEP_SELECT_QUEUE, errno);
  }
  if (get_u32(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &r[R_RCV_NXT]) != 0) {
    return baton_repair_fail(r, STEP_GET_SEQUENCE, errno);
  }
  /* A peek stops at an urgent byte, and so does SIOCINQ: neither tells. Without one this is always EINVAL. */
  if (recv(fd, &urgent, 1, MSG_OOB | MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EINVAL) {
    return baton_repair_fail(r, STEP_URGENT, 0);
  }
  size_t space = capacity > r[R_SND_BYTES] ? capacity - r[R_SND_BYTES] : 0;
  ssize_t got = 0;
  if (space > 0) {
    got = recv(fd, scratch + r[R_SND_BYTES], space, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) got = 0;
    if (got < 0) return baton_repair_fail(r, STEP_PEEK_RECEIVE, errno);
  }
  r[R_RCV_BYTES] = (uint32_t)got;
  if ((size_t)got < space) return STEP_NONE;
  int unread = 0; /* a full buffer: there may be more */
  if (ioctl(fd, SIOCINQ, &unread) != 0) return baton_repair_fail(r, STEP_QUEUE_BYTES, errno);
  *needed = (size_t)r[R_SND_BYTES] + (size_t)unread + 1;
  return STEP_NONE;
}

static int read_negotiated(int fd, uint32_t *r, const struct tcp_info *info) {
  if (get_u32(fd, IPPROTO_TCP, TCP_MAXSEG, &r[R_MSS]) != 0) return baton_repair_fail(r, STEP_GET_MAXSEG, errno);
  r[R_SACK] = (info->tcpi_options & TCPI_OPT_SACK) != 0;
  r[R_WINDOW_SCALING] = (info->tcpi_options & TCPI_OPT_WSCALE) != 0;
  r[R_SND_WSCALE] = info->tcpi_snd_wscale;
  r[R_RCV_WSCALE] = info->tcpi_rcv_wscale;
  r[R_TIMESTAMPS] = (info->tcpi_options & TCPI_OPT_TIMESTAMPS) != 0;
  r[R_TIMESTAMP] = 0;
  if (r[R_TIMESTAMPS] && get_u32(fd, IPPROTO_TCP, TCP_TIMESTAMP, &r[R_TIMESTAMP]) != 0) {
    return baton_repair_fail(r, STEP_GET_TIMESTAMP, errno);
  }
  /* Before 6.7 bit 0 is a bit of the clock. */
  if (!(info->tcpi_options & TCPI_OPT_USEC_TS)) r[R_TIMESTAMP] &= ~1u;
  return STEP_NONE;
}

/* Repair mode does not stop the sender: pacing timers, small queues and window probes go on sending what was never
   sent, and an ACK of it would be one of the future to the next owner, who would ignore it and every later one. So the
   send window is held at 0 while bytes are unsent. r[R_HELD] remembers it, and r[R_SND_WND] the true window. */
static int read_window(int fd, uint32_t *r, struct tcp_info *info) {
  struct tcp_repair_window window;
  socklen_t length = sizeof(window);
  if (getsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, &length) != 0) {
    return baton_repair_fail(r, STEP_GET_WINDOW, errno);
  }
  if (r[R_HELD] == 0 || window.snd_wnd != 0) r[R_SND_WND] = window.snd_wnd;
  r[R_SND_WL1] = window.snd_wl1;
  r[R_MAX_WINDOW] = window.max_window;
  r[R_RCV_WND] = window.rcv_wnd;
  r[R_RCV_WUP] = window.rcv_wup;
  if (info->tcpi_notsent_bytes == 0 || window.snd_wnd == 0) return STEP_NONE;
  window.snd_wnd = 0;
  if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, sizeof(window)) != 0) {
    return baton_repair_fail(r, STEP_SET_WINDOW, errno);
  }
  r[R_HELD] = 1;
  info->tcpi_snd_wnd = 0;
  return STEP_NONE;
}

/* An ACK that is still owed would never be sent: the frozen socket is closed before its timer, and the new one knows of
   none; so a slow answer would cost the peer a retransmission. It is sent now. With unread bytes the kernel does that
   only when more than a segment is un-ACKed, so the window's left edge goes back by that much; the right edge stays. */
static int pay_ack(int fd, uint32_t *r) {
  struct tcp_repair_window window;
  socklen_t length = sizeof(window);
  if (getsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, &length) != 0) {
    return baton_repair_fail(r, STEP_GET_WINDOW, errno);
  }
  window.rcv_wnd += MAX_SEGMENT;
  window.rcv_wup -= MAX_SEGMENT;
  uint32_t lowered = window.rcv_wup;
  if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, sizeof(window)) != 0) {
    return baton_repair_fail(r, STEP_SET_WINDOW, errno);
  }
  /* 2: once, without a change of the socket's ways. */
  if (set_int(fd, IPPROTO_TCP, TCP_QUICKACK, 2) != 0) return baton_repair_fail(r, STEP_ACK, errno);
  if (getsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, &length) != 0) {
    return baton_repair_fail(r, STEP_GET_WINDOW, errno);
  }
  if (window.rcv_wup != lowered) return STEP_NONE;
  window.rcv_wnd -= MAX_SEGMENT; /* the kernel knew of no debt: as before */
  window.rcv_wup += MAX_SEGMENT;
  if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, sizeof(window)) != 0) {
    return baton_repair_fail(r, STEP_SET_WINDOW, errno);
  }
  return STEP_NONE;
}

static int dump(int fd, uint32_t *r, struct tcp_info *before, uint8_t *scratch, size_t capacity, size_t *needed) {
  struct tcp_info after;
  bool paid = false;
  int step = read_negotiated(fd, r, before);
  for (r[R_PASSES] = 1; step == STEP_NONE && r[R_PASSES] <= MAX_PASSES; r[R_PASSES]++) {
    step = read_window(fd, r, before);
    if (step == STEP_NONE) step = dump_queues(fd, r, before, scratch, capacity, needed);
    if (step != STEP_NONE || *needed != 0) return step;
    /* A segment may have been past the filter already when it went on. */
    step = read_info(fd, &after, r);
    if (step != STEP_NONE) return step;
    bool settled = !moved(before, &after);
    *before = after;
    bool owed = !paid && r[R_RCV_WUP] != r[R_RCV_NXT];
    if (settled && !owed) return STEP_NONE;
    if (owed) step = pay_ack(fd, r);
    paid = paid || owed;
  }
  return step != STEP_NONE ? step : baton_repair_fail(r, STEP_MOVING, 0);
}

static int begin(int fd, uint32_t *r, uint8_t *key, bool key_known) {
  int step = key_known ? read_family(fd, r, key) : read_key(fd, r, key);
  if (step == STEP_NONE) step = read_options(fd, r, key);
  if (step == STEP_NONE && set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON) != 0) {
    step = baton_repair_fail(r, STEP_REPAIR_ON, errno);
  }
  return step;
}

int baton_repair_freeze(int fd, uint32_t *r, uint8_t *scratch, size_t capacity, uint8_t *key, bool key_known,
                        bool again, size_t *needed) {
  struct tcp_info info;
  uint32_t ignored[R_COUNT]; /* of undoing: the first failure is the one to tell */
  *needed = 0;
  int step = read_info(fd, &info, r);
  if (!again) {
    if (step != STEP_NONE) return step; /* before the lock: what must be refused is not touched at all */
    r[R_HELD] = 0;
    step = baton_repair_lock(fd, r);
    if (step != STEP_NONE) return step;
    step = begin(fd, r, key, key_known);
    if (step != STEP_NONE) {
      baton_repair_unlock(fd, ignored);
      return step;
    }
  }
  if (step == STEP_NONE) step = dump(fd, r, &info, scratch, capacity, needed);
  if (step == STEP_NONE) return STEP_NONE;
  baton_repair_thaw(fd, ignored, r[R_HELD] != 0 ? r[R_SND_WND] : 0);
  return step;
}

/* Back to the true window, if it is held at 0 and no segment has set it since. */
static int release_window(int fd, uint32_t *r, uint32_t snd_wnd) {
  struct tcp_repair_window window;
  socklen_t length = sizeof(window);
  if (getsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, &length) != 0) {
    return baton_repair_fail(r, STEP_GET_WINDOW, errno);
  }
  if (window.snd_wnd != 0 || snd_wnd > window.max_window) return STEP_NONE;
  window.snd_wnd = snd_wnd;
  if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, sizeof(window)) != 0) {
    return baton_repair_fail(r, STEP_SET_WINDOW, errno);
  }
  return STEP_NONE;
}

int baton_repair_thaw(int fd, uint32_t *r, uint32_t snd_wnd) {
  uint32_t corked = 1;
  int step = snd_wnd != 0 ? release_window(fd, r, snd_wnd) : STEP_NONE;
  if (step == STEP_NONE) step = baton_repair_unlock(fd, r); /* before the probe: its answer may come at once */
  if (step != STEP_NONE) return step;
  if (set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF) != 0) return baton_repair_fail(r, STEP_REPAIR_OFF, errno);
  /* Leaving repair clears it, and then no listener could start on that port. */
  if (set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) != 0) return baton_repair_fail(r, STEP_REUSE, errno);
  /* Uncorking what is not corked sends what may be sent, or starts the timer that asks for a window. */
  if (get_u32(fd, IPPROTO_TCP, TCP_CORK, &corked) != 0 ||
      (corked == 0 && set_int(fd, IPPROTO_TCP, TCP_CORK, 0) != 0)) {
    return baton_repair_fail(r, STEP_PUSH, errno);
  }
  return STEP_NONE;
}
