/* The giving side: freeze, and the way back. Sources: Linux net/ipv4/tcp.c (TCP_REPAIR). */
#include "repair.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

int baton_repair_fail(uint32_t *r, int step, int err) {
  r[R_ERRNO] = (uint32_t)err;
  return step;
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
  if (baton_repair_is_mapped(key) && baton_get_u32(fd, SOL_SOCKET, SO_DOMAIN, &domain) != 0) {
    return baton_repair_fail(r, STEP_ADDRESSES, errno);
  }
  r[R_FAMILY] = domain == AF_INET6 ? 6 : 4;
  return STEP_NONE;
}

static int read_options(int fd, uint32_t *r, const uint8_t *key) {
  socklen_t length = 4 * sizeof(uint32_t);
  memset(&r[R_CONGESTION], 0, length);
  if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, &r[R_CONGESTION], &length) != 0 ||
      baton_get_u32(fd, IPPROTO_TCP, TCP_NODELAY, &r[R_NO_DELAY]) != 0 ||
      baton_get_u32(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &r[R_USER_TIMEOUT_MS]) != 0 ||
      baton_get_u32(fd, SOL_SOCKET, SO_MARK, &r[R_MARK]) != 0 ||
      baton_get_u32(fd, SOL_SOCKET, SO_KEEPALIVE, &r[R_KEEP_ALIVE]) != 0) {
    return baton_repair_fail(r, STEP_OPTIONS, errno);
  }
  if (r[R_KEEP_ALIVE] != 0 && (baton_get_u32(fd, IPPROTO_TCP, TCP_KEEPIDLE, &r[R_KEEP_IDLE]) != 0 ||
                               baton_get_u32(fd, IPPROTO_TCP, TCP_KEEPINTVL, &r[R_KEEP_INTERVAL]) != 0 ||
                               baton_get_u32(fd, IPPROTO_TCP, TCP_KEEPCNT, &r[R_KEEP_COUNT]) != 0)) {
    return baton_repair_fail(r, STEP_OPTIONS, errno);
  }
  int rc = baton_repair_is_mapped(key) ? baton_get_u32(fd, IPPROTO_IP, IP_TOS, &r[R_TOS])
                                       : baton_get_u32(fd, IPPROTO_IPV6, IPV6_TCLASS, &r[R_TOS]);
  return rc == 0 ? STEP_NONE : baton_repair_fail(r, STEP_OPTIONS, errno);
}

static int begin(int fd, uint32_t *r, uint8_t *key, bool key_known) {
  int step = key_known ? read_family(fd, r, key) : read_key(fd, r, key);
  if (step == STEP_NONE) step = read_options(fd, r, key);
  if (step == STEP_NONE && baton_set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON) != 0) {
    step = baton_repair_fail(r, STEP_REPAIR_ON, errno);
  }
  return step;
}

int baton_repair_freeze(int fd, uint32_t *r, uint8_t *scratch, size_t capacity, uint8_t *key, bool key_known,
                        bool again, size_t *needed) {
  struct tcp_info info;
  uint32_t ignored[R_COUNT]; /* of undoing: the first failure is the one to tell */
  *needed = 0;
  int step = baton_repair_info(fd, &info, r);
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
  if (step == STEP_NONE) step = baton_repair_dump(fd, r, &info, scratch, capacity, needed);
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
  if (baton_set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF) != 0) return baton_repair_fail(r, STEP_REPAIR_OFF, errno);
  /* Leaving repair clears it, and then no listener could start on that port. */
  if (baton_set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) != 0) return baton_repair_fail(r, STEP_REUSE, errno);
  /* Uncorking what is not corked sends what may be sent, or starts the timer that asks for a window. */
  if (baton_get_u32(fd, IPPROTO_TCP, TCP_CORK, &corked) != 0 ||
      (corked == 0 && baton_set_int(fd, IPPROTO_TCP, TCP_CORK, 0) != 0)) {
    return baton_repair_fail(r, STEP_PUSH, errno);
  }
  return STEP_NONE;
}
