/* What a frozen connection holds: both queues, sequence numbers, windows, negotiated options, and whether it moved. */
#include "repair.h"

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define TCP_ESTABLISHED_STATE 1
#define MAX_PASSES 8
#define MAX_SEGMENT 65535

int baton_repair_info(int fd, struct tcp_info *info, uint32_t *r) {
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

static int dump_send_queue(int fd, uint32_t *r, const struct tcp_info *info) {
  int total = 0, unsent = 0;
  if (baton_set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE) != 0) {
    return baton_repair_fail(r, STEP_SELECT_QUEUE, errno);
  }
  if (baton_get_u32(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &r[R_WRITE_SEQ]) != 0) {
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
  if (baton_set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE) != 0) {
    return baton_repair_fail(r, STEP_SELECT_QUEUE, errno);
  }
  if (baton_get_u32(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &r[R_RCV_NXT]) != 0) {
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
  if (baton_get_u32(fd, IPPROTO_TCP, TCP_MAXSEG, &r[R_MSS]) != 0) return baton_repair_fail(r, STEP_GET_MAXSEG, errno);
  r[R_SACK] = (info->tcpi_options & TCPI_OPT_SACK) != 0;
  r[R_WINDOW_SCALING] = (info->tcpi_options & TCPI_OPT_WSCALE) != 0;
  r[R_SND_WSCALE] = info->tcpi_snd_wscale;
  r[R_RCV_WSCALE] = info->tcpi_rcv_wscale;
  r[R_TIMESTAMPS] = (info->tcpi_options & TCPI_OPT_TIMESTAMPS) != 0;
  r[R_TIMESTAMP] = 0;
  if (r[R_TIMESTAMPS] && baton_get_u32(fd, IPPROTO_TCP, TCP_TIMESTAMP, &r[R_TIMESTAMP]) != 0) {
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
  if (baton_set_int(fd, IPPROTO_TCP, TCP_QUICKACK, 2) != 0) return baton_repair_fail(r, STEP_ACK, errno);
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

int baton_repair_dump(int fd, uint32_t *r, struct tcp_info *before, uint8_t *scratch, size_t capacity,
                      size_t *needed) {
  struct tcp_info after;
  bool paid = false;
  int step = read_negotiated(fd, r, before);
  for (r[R_PASSES] = 1; step == STEP_NONE && r[R_PASSES] <= MAX_PASSES; r[R_PASSES]++) {
    step = read_window(fd, r, before);
    if (step == STEP_NONE) step = dump_queues(fd, r, before, scratch, capacity, needed);
    if (step != STEP_NONE || *needed != 0) return step;
    /* A segment may have been past the filter already when it went on. */
    step = baton_repair_info(fd, &after, r);
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
