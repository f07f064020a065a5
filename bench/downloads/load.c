/*
 * load WARM-UP MILLISECONDS CONNECTIONS SIZE TARGET…: so many connections at once, each asks for one object of SIZE bytes,
 * closes, and another one opens, by the targets in turn. Prints one JSON object, of MILLISECONDS after the warm-up;
 * `bytes` are heads and bodies.
 */
#include "wire.h"

struct slot {
  int fd;
  int asked;
  const struct target *target;
  struct answer answer;
};

static int poller, target_count;
static struct target *targets;
static long long size, bytes, answers, lost, turn;

static void open_slot(struct slot *slot) {
  slot->target = &targets[turn++ % target_count];
  slot->asked = 0;
  expect(&slot->answer);
  slot->fd = dial(slot->target, NULL, 0);
  if (slot->fd < 0) {
    lost++;
    return;
  }
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = slot};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, slot->fd, &event) < 0) fail("epoll_ctl");
}

static void serve(struct slot *slot, unsigned events) {
  if (!slot->asked && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
    slot->asked = 1;
    if (ask(slot->fd, slot->target, size) < 0) goto over;
  }
  if (!(events & (EPOLLIN | EPOLLERR | EPOLLHUP))) return;
  switch (take(slot->fd, &slot->answer, size, 1LL << 62, &bytes)) {
  case TAKEN_NOTHING:
  case TAKEN_SOME:
    return;
  case TAKEN_WHOLE:
    answers++;
    close(slot->fd);
    open_slot(slot);
    return;
  case TAKEN_LOST:
    break;
  }
over:
  lost++;
  close(slot->fd);
  open_slot(slot);
}

int main(int argc, char **argv) {
  if (argc < 6) {
    fprintf(stderr, "load WARM-UP MILLISECONDS CONNECTIONS SIZE TARGET...\n");
    return 2;
  }
  double warm_up = (double)number(argv[1], 0, 60000) / 1000, seconds = (double)number(argv[2], 1, 600000) / 1000;
  int count = (int)number(argv[3], 1, 10000);
  size = number(argv[4], 1, 1LL << 40);
  target_count = argc - 5;
  targets = calloc((size_t)target_count, sizeof *targets);
  struct slot *slots = calloc((size_t)count, sizeof *slots);
  if (targets == NULL || slots == NULL) fail("calloc");
  for (int index = 0; index < target_count; index++) targets[index] = parse_target(argv[index + 5]);
  poller = epoll_create1(EPOLL_CLOEXEC);
  if (poller < 0) fail("epoll_create1");

  double begin = now_seconds(), now = begin;
  for (int index = 0; index < count; index++) open_slot(&slots[index]);
  struct epoll_event events[64];
  while ((now = now_seconds()) - begin < seconds && lost < 10 * (long long)count) {
    if (warm_up > 0 && now - begin >= warm_up) {
      warm_up = 0;
      begin = now;
      bytes = answers = 0;
    }
    int ready = epoll_wait(poller, events, 64, 20);
    if (ready < 0 && errno != EINTR) fail("epoll_wait");
    for (int index = 0; index < ready; index++) serve(events[index].data.ptr, events[index].events);
  }
  struct timespec cpu;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
  printf("{\"pid\":%d,\"seconds\":%.6f,\"bytes\":%lld,\"answers\":%lld,\"lost\":%lld,\"cpuSeconds\":%.6f}\n", getpid(), now - begin, bytes,
         answers, lost, (double)cpu.tv_sec + (double)cpu.tv_nsec * 1e-9);
  return 0;
}
