/*
 * hold COUNT SIZE FROM TARGET…: opens COUNT connections from the address FROM, asks for one object on each, and keeps them.
 * Prints "held N lost M" when every one has its answer or has ended. SIGUSR1: asks again on every hundredth, and prints
 * "asked N answered M" two seconds later at the latest. SIGTERM ends it.
 */
#include "wire.h"
#include <signal.h>
#include <sys/signalfd.h>

/* Connections that are being opened at once. */
#define AT_ONCE 48

struct held {
  int fd;
  int asked;
  const struct target *target;
  struct answer answer;
};

static int poller, count, opened, settled, lost, target_count;
static struct target *targets;
static struct held *all;
static struct in_addr from;
static long long size, bytes;

static void open_next(void) {
  if (opened == count) return;
  struct held *held = &all[opened];
  held->target = &targets[opened % target_count];
  opened++;
  expect(&held->answer);
  held->fd = dial(held->target, &from, 0);
  if (held->fd < 0) {
    lost++;
    settled++;
    return;
  }
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = held};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, held->fd, &event) < 0) fail("epoll_ctl");
}

/* 1 when this event settled the first answer, 2 when a later one, 0 otherwise. */
static int serve(struct held *held, unsigned events) {
  if (held->fd < 0) return 0;
  enum taken taken = TAKEN_NOTHING;
  if (!held->asked) {
    held->asked = 1;
    if (ask(held->fd, held->target, size) < 0) taken = TAKEN_LOST;
  }
  int waited = held->answer.left != 0;
  if (taken != TAKEN_LOST && (events & (EPOLLIN | EPOLLERR | EPOLLHUP))) {
    /* A held connection must say nothing: what comes then is its end. */
    taken = waited ? take(held->fd, &held->answer, size, 1LL << 40, &bytes) : TAKEN_LOST;
  }
  if (taken == TAKEN_WHOLE) return held->asked == 1 ? 1 : 2;
  if (taken != TAKEN_LOST) return 0;
  close(held->fd);
  held->fd = -1;
  lost++;
  return waited && held->asked == 1 ? 1 : 0;
}

/* Asks on every hundredth that stands; prints how many answers came. */
static void sample(void) {
  int asked = 0, answered = 0;
  for (int index = 0; index < count; index += 100) {
    struct held *held = &all[index];
    if (held->fd < 0) continue;
    expect(&held->answer);
    held->asked = 2;
    asked++;
    if (ask(held->fd, held->target, size) < 0) held->answer.left = 0;
  }
  double until = now_seconds() + 2;
  struct epoll_event events[64];
  while (answered < asked && now_seconds() < until) {
    int ready = epoll_wait(poller, events, 64, 100);
    for (int index = 0; index < ready; index++)
      if (events[index].data.ptr != NULL) answered += serve(events[index].data.ptr, events[index].events) == 2;
  }
  printf("asked %d answered %d\n", asked, answered);
  fflush(stdout);
}

int main(int argc, char **argv) {
  if (argc < 5) {
    fprintf(stderr, "hold COUNT SIZE FROM TARGET...\n");
    return 2;
  }
  count = (int)number(argv[1], 1, 60000);
  size = number(argv[2], 1, 1LL << 30);
  if (inet_pton(AF_INET, argv[3], &from) != 1) fail(argv[3]);
  target_count = argc - 4;
  targets = calloc((size_t)target_count, sizeof *targets);
  all = calloc((size_t)count, sizeof *all);
  if (targets == NULL || all == NULL) fail("calloc");
  for (int index = 0; index < target_count; index++) targets[index] = parse_target(argv[index + 4]);
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGUSR1);
  sigprocmask(SIG_BLOCK, &wanted, NULL);
  int signals = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
  poller = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  if (signals < 0 || poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, signals, &event) < 0) fail("set-up");

  for (int index = 0; index < AT_ONCE; index++) open_next();
  int said = 0;
  struct epoll_event events[64];
  for (;;) {
    int ready = epoll_wait(poller, events, 64, 1000);
    if (ready < 0 && errno != EINTR) fail("epoll_wait");
    for (int index = 0; index < ready; index++) {
      if (events[index].data.ptr == NULL) {
        struct signalfd_siginfo told;
        while (read(signals, &told, sizeof told) == sizeof told) sample();
        break; /* the rest of these events may be of what the sample has read */
      }
      if (serve(events[index].data.ptr, events[index].events) == 1) {
        settled++;
        open_next();
      }
    }
    if (!said && settled == count) {
      said = 1;
      printf("held %d lost %d\n", count - lost, lost);
      fflush(stdout);
    }
  }
}
