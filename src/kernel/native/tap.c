/* A TAP: the device into which the steering program parks frames, and by which they come back. */
#include "args.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* tapOpen(name) → fd, not blocking. The device is the thread's network namespace's, down, and goes with the fd. */
static napi_value tap_open(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  struct ifreq request = {};
  if (!args(env, info, 1, argv) || !arg_text(env, argv[0], request.ifr_name, sizeof(request.ifr_name))) return NULL;
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return baton_throw_errno(env, "open /dev/net/tun", errno);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL;
  if (ioctl(fd, TUNSETIFF, &request) != 0) {
    int err = errno;
    close(fd);
    return baton_throw_errno(env, "TUNSETIFF", err);
  }
  return result_int(env, fd);
}

/* tapUp(name, queueLength): no ARP, no multicast, up. */
static napi_value tap_up(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  struct ifreq request = {};
  char name[IFNAMSIZ];
  int32_t queue_length;
  const char *step = NULL;
  if (!args(env, info, 2, argv) || !arg_text(env, argv[0], name, sizeof(name)) ||
      !arg_int(env, argv[1], &queue_length))
    return NULL;
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return baton_throw_errno(env, "socket", errno);
  strcpy(request.ifr_name, name);
  request.ifr_qlen = queue_length;
  if (ioctl(fd, SIOCSIFTXQLEN, &request) != 0) {
    step = "SIOCSIFTXQLEN";
  } else {
    request.ifr_flags = IFF_UP | IFF_NOARP;
    if (ioctl(fd, SIOCSIFFLAGS, &request) != 0) step = "SIOCSIFFLAGS";
  }
  int err = errno;
  close(fd);
  return step == NULL ? NULL : baton_throw_errno(env, step, err);
}

/* tapRead(fd, buffer, lengths, frameBytes) → how many frames. They stand in buffer one after the other; lengths (u32
 * each, host order) has theirs. Stops when nothing is queued, or when fewer than frameBytes of room are left. */
static napi_value tap_read(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  int32_t fd;
  uint32_t frame_bytes;
  void *buffer, *lengths;
  size_t room, lengths_bytes, used = 0, count = 0;
  if (!args(env, info, 4, argv) || !arg_int(env, argv[0], &fd) || !arg_bytes(env, argv[1], &buffer, &room) ||
      !arg_bytes(env, argv[2], &lengths, &lengths_bytes) || !arg_uint(env, argv[3], &frame_bytes))
    return NULL;
  while (count < lengths_bytes / 4 && room - used >= frame_bytes) {
    ssize_t length = read(fd, (char *)buffer + used, room - used);
    if (length < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) break;
      return baton_throw_errno(env, "read TAP", errno);
    }
    uint32_t frame = (uint32_t)length;
    memcpy((char *)lengths + count * 4, &frame, 4);
    used += (size_t)length;
    count++;
  }
  return result_int(env, (int64_t)count);
}

/* tapWrite(fd, frames: Buffer[]) → how many were taken, in order; the others were refused one by one (too short, too
 * long, queue full). */
static napi_value tap_write(napi_env env, napi_callback_info info) {
  napi_value argv[2], frame;
  int32_t fd;
  uint32_t count;
  void *data;
  size_t length;
  int64_t written = 0;
  if (!args(env, info, 2, argv) || !arg_int(env, argv[0], &fd)) return NULL;
  NAPI_TRY(env, napi_get_array_length(env, argv[1], &count));
  for (uint32_t i = 0; i < count; i++) {
    ssize_t rc;
    NAPI_TRY(env, napi_get_element(env, argv[1], i, &frame));
    if (!arg_bytes(env, frame, &data, &length)) return NULL;
    do rc = write(fd, data, length);
    while (rc < 0 && errno == EINTR);
    if (rc >= 0) written++;
  }
  return result_int(env, written);
}

/* tapPlay(fd, frame, length, program, ifindex) → verdict: lets the frame come in, and then runs that program on it as on a
 * packet of that interface (BPF_PROG_TEST_RUN), whether the kernel took the frame or not: one call for the phase. */
static napi_value tap_play(napi_env env, napi_callback_info info) {
  napi_value argv[5];
  int32_t fd, program;
  uint32_t length, ifindex;
  void *frame;
  size_t room;
  ssize_t rc;
  if (!args(env, info, 5, argv) || !arg_int(env, argv[0], &fd) || !arg_bytes(env, argv[1], &frame, &room) ||
      !arg_uint(env, argv[2], &length) || !arg_int(env, argv[3], &program) || !arg_uint(env, argv[4], &ifindex))
    return NULL;
  if (length > room) return baton_throw_errno(env, "write TAP", EINVAL);
  do rc = write(fd, frame, length);
  while (rc < 0 && errno == EINTR);
  struct __sk_buff context = {.ifindex = ifindex};
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = length, .ctx_in = &context,
              .ctx_size_in = sizeof(context), .repeat = 1);
  if (bpf_prog_test_run_opts(program, &options) != 0) return baton_throw_errno(env, "BPF_PROG_TEST_RUN", errno);
  return result_int(env, (int32_t)options.retval);
}

bool baton_init_tap(napi_env env, napi_value exports) {
  const baton_method methods[] = {
      {"tapOpen", tap_open},
      {"tapUp", tap_up},
      {"tapRead", tap_read},
      {"tapWrite", tap_write},
      {"tapPlay", tap_play},
  };
  return baton_define(env, exports, methods, sizeof(methods) / sizeof(methods[0]));
}
