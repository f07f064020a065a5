/*
 * pace CONNECTIONS SIZE BYTES TICK DURATION TARGET…: so many downloads of SIZE bytes at once, each of a client that takes at
 * most BYTES in every TICK milliseconds and keeps little in its receive buffer, until all have ended or DURATION
 * milliseconds are over. Prints "begun" once every connection has its first bytes, and one JSON object at the end:
 * whole, flowing (not at its end, but got bytes in the last second), stuck, reset, early (closed before its end), refused
 * (never connected); and for each connection that is whole or flowing its longest time without a byte, in ms.
 */
#include "wire.h"

enum fate { FLOWING, STUCK, WHOLE, RESET, EARLY, REFUSED, FATES };
static const char *const fates[FATES] = {"flowing", "stuck", "whole", "reset", "early", "refused"};

struct download {
  int fd;
  int asked;
  enum fate fate;
  const struct target *target;
  struct answer answer;
  double last, stall;
};

static long long size, most, bytes;

/* Whether the connection stands; a failed one is closed. */
static int connected(struct download *download) {
  int error = 0;
  socklen_t length = sizeof error;
  if (download->fd >= 0) getsockopt(download->fd, SOL_SOCKET, SO_ERROR, &error, &length);
  struct tcp_info info;
  length = sizeof info;
  if (download->fd < 0 || error != 0 || getsockopt(download->fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0) {
    download->fate = REFUSED;
    return 0;
  }
  return info.tcpi_state != TCP_SYN_SENT;
}

/* One turn of one download. */
static void turn(struct download *download, double now) {
  if (!download->asked) {
    if (!connected(download)) return;
    if (ask(download->fd, download->target, size) < 0) download->fate = RESET;
    download->asked = 1;
    return;
  }
  long long before = bytes;
  enum taken taken = take(download->fd, &download->answer, size, most, &bytes);
  if (taken == TAKEN_LOST) {
    download->fate = errno == ECONNRESET ? RESET : EARLY;
    return;
  }
  if (bytes > before) {
    if (download->last > 0 && now - download->last > download->stall) download->stall = now - download->last;
    download->last = now;
  }
  if (taken == TAKEN_WHOLE) download->fate = WHOLE;
}

static void report(struct download *downloads, int count, double now) {
  int counts[FATES] = {0};
  for (int index = 0; index < count; index++) {
    struct download *download = &downloads[index];
    if (download->fate == FLOWING && now - download->last > 1) download->fate = STUCK;
    counts[download->fate]++;
  }
  printf("{");
  for (int fate = 0; fate < FATES; fate++) printf("\"%s\":%d,", fates[fate], counts[fate]);
  printf("\"bytes\":%lld,\"stallsMs\":[", bytes);
  const char *between = "";
  for (int index = 0; index < count; index++) {
    const struct download *download = &downloads[index];
    if (download->fate != FLOWING && download->fate != WHOLE) continue;
    printf("%s%.0f", between, download->stall * 1000);
    between = ",";
  }
  printf("]}\n");
}

int main(int argc, char **argv) {
  if (argc < 7) {
    fprintf(stderr, "pace CONNECTIONS SIZE BYTES TICK DURATION TARGET...\n");
    return 2;
  }
  int count = (int)number(argv[1], 1, 15000);
  size = number(argv[2], 1, 1LL << 40);
  most = number(argv[3], 1, 1 << 30);
  double tick = (double)number(argv[4], 1, 10000) / 1000, duration = (double)number(argv[5], 1, 600000) / 1000;
  int target_count = argc - 6;
  struct target *targets = calloc((size_t)target_count, sizeof *targets);
  struct download *downloads = calloc((size_t)count, sizeof *downloads);
  if (targets == NULL || downloads == NULL) fail("calloc");
  for (int index = 0; index < target_count; index++) targets[index] = parse_target(argv[index + 6]);

  double begin = now_seconds(), now;
  int opened = 0, begun = 0, open;
  do {
    now = now_seconds();
    for (int burst = 0; burst < 100 && opened < count; burst++, opened++) {
      struct download *download = &downloads[opened];
      download->target = &targets[opened % target_count];
      expect(&download->answer);
      download->fd = dial(download->target, NULL, (int)(most * 2));
      download->last = now;
    }
    int first = 0;
    open = 0;
    for (int index = 0; index < opened; index++) {
      struct download *download = &downloads[index];
      if (download->fate == FLOWING) turn(download, now);
      open += download->fate == FLOWING;
      first += download->answer.left >= 0 || download->fate != FLOWING;
    }
    if (!begun && first == count) {
      begun = 1;
      printf("begun\n");
      fflush(stdout);
    }
    double rest = tick - (now_seconds() - now);
    if (rest > 0) usleep((useconds_t)(rest * 1e6));
  } while ((open > 0 || opened < count) && now - begin < duration);
  report(downloads, count, now);
  return 0;
}
