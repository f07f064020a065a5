/*
 * The client of the benchmarks: GETs over HTTP/1.1, and the time from the moment a request was due to the first byte of
 * its answer. One thread, no allocation while it runs, the same for whatever stands at the other end.
 *
 *   client --to ADDRESS:PORT:HOST:PATH [--to …] --seconds S | --count N
 *          (--connections C [--keep] | --rate R [--seed N] [--in-flight M]) [--from ADDRESS,…] [--warm-up S] [--samples N]
 *
 * --connections C   closed loop: C connections at once; a new one for each request, or with --keep the same
 *                   ones. With several --to a single connection takes them in turn.
 * --rate R          open loop: requests are due at random (Poisson) moments, R a second, whether or not earlier
 *                   ones were answered. The time counts from when the request was due, not from when it could be sent, so
 *                   a stall is charged to every request that it delayed (no coordinated omission).
 * --from            source addresses in turn: TIME_WAIT leaves one address without ports.
 *
 * Prints one JSON object: counts, errors by kind, and microseconds of each answer, by --to.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_TARGETS 8
#define MAX_SOURCES 64
#define MAX_CONNECTIONS 16384
#define MAX_SAMPLES (1 << 20)
#define MAX_SECONDS 600
#define HEAD_BYTES 1024
#define PATIENCE_NS 5000000000LL
#define EVENTS 256

enum failure { CONNECT, RESET, SHORT, STATUS, TIMEOUT, UNSENT, FAILURES };
static const char *const failure_names[FAILURES] = {"connect", "reset", "short", "status", "timeout", "unsent"};

struct target {
  struct sockaddr_in address;
  const char *host, *path;
  char request[512];
  size_t request_bytes;
  uint64_t answered;
  double *samples;
  uint64_t sampled;
};

struct connection {
  int fd; /* -1: free */
  int next_free;
  struct target *target;
  int64_t due_ns;
  int64_t sent_ns; /* 0: not yet */
  int64_t first_ns;
  int64_t body_left; /* -1: the head is not whole */
  uint32_t head_bytes;
  bool counts;     /* due after the warm-up */
  bool stays_open; /* the answer says so, whatever was asked for */
  char head[HEAD_BYTES];
};

static struct target targets[MAX_TARGETS];
static int target_count;
static struct in_addr sources[MAX_SOURCES];
static int source_count, next_source;
static struct connection *connections;
static int capacity, first_free, in_flight;
static uint64_t failures[FAILURES], started, max_samples = MAX_SAMPLES;
static int epoll_fd;
static bool keep;
static uint64_t random_state = 1;
static char sink[1 << 16];

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void stop(const char *what) {
  fprintf(stderr, "client: %s: %s\n", what, errno == 0 ? "not understood" : strerror(errno));
  exit(1);
}

/* (0, 1], xorshift64*. */
static double random_share(void) {
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return ((double)((random_state * 2685821657736338717ULL) >> 11) + 1) / 9007199254740992.0;
}

/* Forgets the connection; its place is free again. */
static void drop(struct connection *one) {
  close(one->fd);
  one->fd = -1;
  one->next_free = first_free;
  first_free = (int)(one - connections);
  in_flight--;
}

static void fail(struct connection *one, enum failure why) {
  if (one->counts) failures[why]++;
  drop(one);
}

static void expect_answer(struct connection *one, struct target *target, int64_t due_ns, bool counts) {
  one->target = target;
  one->due_ns = due_ns;
  one->counts = counts;
  one->sent_ns = one->first_ns = 0;
  one->head_bytes = 0;
  one->body_left = -1;
  one->stays_open = false;
  if (counts) started++;
}

static void send_request(struct connection *one) {
  ssize_t sent = send(one->fd, one->target->request, one->target->request_bytes, MSG_NOSIGNAL);
  if (sent != (ssize_t)one->target->request_bytes) {
    fail(one, RESET);
    return;
  }
  one->sent_ns = now_ns();
}

/* A new connection with its request on the way; the caller knows that there is room. */
static void begin(struct target *target, int64_t due_ns, bool counts) {
  struct connection *one = &connections[first_free];
  const int on = 1;
  first_free = one->next_free;
  in_flight++;
  expect_answer(one, target, due_ns, counts);
  one->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (one->fd < 0) stop("socket");
  setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (source_count > 0) {
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr = sources[next_source++ % source_count]};
    setsockopt(one->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    if (bind(one->fd, (struct sockaddr *)&from, sizeof(from)) != 0) stop("bind");
  }
  if (connect(one->fd, (struct sockaddr *)&target->address, sizeof(target->address)) != 0 && errno != EINPROGRESS) {
    fail(one, CONNECT);
    return;
  }
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = one};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, one->fd, &event) != 0) stop("epoll_ctl");
}

/* What the bytes so far say of the body. False: this is no 200 with a length. */
static bool read_head(struct connection *one) {
  one->head[one->head_bytes < HEAD_BYTES ? one->head_bytes : HEAD_BYTES - 1] = 0;
  char *end = strstr(one->head, "\r\n\r\n");
  if (end == NULL) return one->head_bytes < HEAD_BYTES - 1;
  char *length = strcasestr(one->head, "\r\ncontent-length:");
  if (strncmp(one->head, "HTTP/1.1 200", 12) != 0 || length == NULL || length > end) return false;
  one->body_left = strtoll(length + 17, NULL, 10) - (int64_t)(one->head_bytes - (size_t)(end + 4 - one->head));
  char *kept = strcasestr(one->head, "\r\nconnection: keep-alive");
  one->stays_open = kept != NULL && kept < end;
  return one->body_left >= 0;
}

static void answered(struct connection *one) {
  struct target *target = one->target;
  if (!one->counts) return;
  target->answered++;
  if (target->sampled < max_samples) target->samples[target->sampled++] = (double)(one->first_ns - one->due_ns) / 1e3;
}

/* Reads what there is. True: the answer is whole, and the connection with it unless it is kept. */
static bool receive(struct connection *one) {
  for (;;) {
    bool in_head = one->body_left < 0;
    char *to = in_head ? one->head + one->head_bytes : sink;
    ssize_t got = recv(one->fd, to, in_head ? HEAD_BYTES - 1 - one->head_bytes : sizeof(sink), 0);
    if (got < 0 && errno == EAGAIN) return false;
    if (got <= 0) {
      bool whole = got == 0 && one->body_left == 0 && !keep;
      if (whole) {
        answered(one);
        drop(one);
        return true;
      }
      fail(one, got < 0 ? RESET : SHORT);
      return true;
    }
    if (one->first_ns == 0) one->first_ns = now_ns();
    if (in_head) {
      one->head_bytes += (uint32_t)got;
      if (!read_head(one)) {
        fail(one, STATUS);
        return true;
      }
    } else {
      one->body_left -= got;
      if (one->body_left < 0) {
        fail(one, SHORT);
        return true;
      }
    }
    if (one->body_left == 0 && (keep || one->stays_open)) {
      answered(one);
      if (!keep) drop(one);
      return true;
    }
  }
}

static void time_out(int64_t at_ns) {
  for (int i = 0; i < capacity; i++) {
    if (connections[i].fd >= 0 && at_ns - connections[i].due_ns > PATIENCE_NS) fail(&connections[i], TIMEOUT);
  }
}

struct plan {
  double seconds, warm_up, rate;
  uint64_t count;
  int connections;
};

static int64_t gap_ns(double rate) { return (int64_t)(-log(random_share()) * 1e9 / rate); }

static void run(const struct plan *plan) {
  struct epoll_event events[EVENTS];
  const int64_t start = now_ns(), warm = start + (int64_t)(plan->warm_up * 1e9);
  const int64_t end = plan->seconds > 0 ? warm + (int64_t)(plan->seconds * 1e9) : INT64_MAX;
  const int64_t latest = (end == INT64_MAX ? warm + MAX_SECONDS * 1000000000LL : end) + PATIENCE_NS;
  const bool open_loop = plan->rate > 0;
  int64_t due = start + (open_loop ? gap_ns(plan->rate) : 0), checked = start;
  uint64_t begun = 0;
  for (;;) {
    int64_t at = now_ns();
    bool over = at >= end || begun >= plan->count;
    if (open_loop) {
      for (; due <= at && due < end && begun < plan->count && first_free >= 0; due += gap_ns(plan->rate)) {
        begin(&targets[begun % (uint64_t)target_count], due, due >= warm);
        begun++;
      }
      over = due >= end || begun >= plan->count;
    } else if (!over) {
      while (in_flight < plan->connections && begun < plan->count) {
        at = now_ns();
        begin(&targets[begun % (uint64_t)target_count], at, at >= warm);
        begun++;
      }
    }
    if (over && in_flight == 0) break;
    if (at > latest) break;
    int64_t wait = over ? 100000000LL : open_loop && first_free >= 0 ? due - at : 100000000LL;
    if (wait > 100000000LL) wait = 100000000LL;
    if (wait < 0) wait = 0;
    struct timespec timeout = {.tv_sec = 0, .tv_nsec = wait};
    int count = epoll_pwait2(epoll_fd, events, EVENTS, &timeout, NULL);
    if (count < 0 && errno != EINTR) stop("epoll_pwait2");
    for (int i = 0; i < count; i++) {
      struct connection *one = events[i].data.ptr;
      if (one->fd < 0) continue;
      if (one->sent_ns == 0) {
        int error = 0;
        socklen_t length = sizeof(error);
        if (events[i].events & (EPOLLERR | EPOLLHUP)) getsockopt(one->fd, SOL_SOCKET, SO_ERROR, &error, &length);
        if (error != 0) {
          fail(one, CONNECT);
          continue;
        }
        if (!(events[i].events & EPOLLOUT)) continue;
        send_request(one);
        if (one->fd < 0) continue;
      }
      if (!(events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))) continue;
      if (receive(one) && keep && one->fd >= 0) {
        at = now_ns();
        if (at >= end || begun >= plan->count) {
          drop(one);
        } else {
          expect_answer(one, one->target, at, at >= warm);
          begun++;
          send_request(one);
        }
      }
    }
    if (now_ns() - checked > 100000000LL) {
      checked = now_ns();
      time_out(checked);
    }
  }
  /* Those that were due and never begun: the other end was so far behind that no connection was free. */
  if (open_loop) {
    for (; due < end && begun < plan->count; begun++, due += gap_ns(plan->rate)) failures[UNSENT] += due >= warm;
  }
}

static void add_target(char *text) {
  const char *address = strtok(text, ":"), *port = strtok(NULL, ":"), *host = strtok(NULL, ":"), *path = strtok(NULL, "");
  if (path == NULL || target_count == MAX_TARGETS) stop("--to");
  struct target *one = &targets[target_count++];
  one->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  if (inet_pton(AF_INET, address, &one->address.sin_addr) != 1) stop("--to");
  one->samples = malloc(MAX_SAMPLES * sizeof(double));
  if (one->samples == NULL) stop("malloc");
  one->host = host;
  one->path = path;
}

static void add_sources(char *text) {
  for (char *one = strtok(text, ","); one != NULL; one = strtok(NULL, ",")) {
    if (source_count == MAX_SOURCES || inet_pton(AF_INET, one, &sources[source_count++]) != 1) stop("--from");
  }
}

static void write_requests(void) {
  for (int i = 0; i < target_count; i++) {
    struct target *one = &targets[i];
    int bytes = snprintf(one->request, sizeof(one->request),
                         "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: */*\r\n%s\r\n", one->path, one->host,
                         keep ? "" : "Connection: close\r\n");
    if (bytes < 0 || (size_t)bytes >= sizeof(one->request)) stop("--to");
    one->request_bytes = (size_t)bytes;
  }
}

static void report(double seconds) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
               (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
  printf("{\"seconds\":%.6f,\"cpuSeconds\":%.6f,\"started\":%llu,\"errors\":{", seconds, cpu,
         (unsigned long long)started);
  for (int i = 0; i < FAILURES; i++) {
    printf("%s\"%s\":%llu", i == 0 ? "" : ",", failure_names[i], (unsigned long long)failures[i]);
  }
  printf("},\"targets\":[");
  for (int i = 0; i < target_count; i++) {
    printf("%s{\"answered\":%llu,\"firstByteUs\":[", i == 0 ? "" : ",", (unsigned long long)targets[i].answered);
    for (uint64_t j = 0; j < targets[i].sampled; j++) printf(j == 0 ? "%.1f" : ",%.1f", targets[i].samples[j]);
    printf("]}");
  }
  printf("]}\n");
}

int main(int argc, char **argv) {
  static const struct option options[] = {
      {"to", required_argument, NULL, 't'},        {"seconds", required_argument, NULL, 's'},
      {"count", required_argument, NULL, 'n'},     {"connections", required_argument, NULL, 'c'},
      {"rate", required_argument, NULL, 'r'},      {"seed", required_argument, NULL, 'e'},
      {"in-flight", required_argument, NULL, 'i'}, {"from", required_argument, NULL, 'f'},
      {"warm-up", required_argument, NULL, 'w'},   {"samples", required_argument, NULL, 'm'},
      {"keep", no_argument, NULL, 'k'},            {NULL, 0, NULL, 0},
  };
  struct plan plan = {.count = UINT64_MAX};
  capacity = 4096;
  for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    if (option == 't') add_target(optarg);
    else if (option == 's') plan.seconds = atof(optarg);
    else if (option == 'n') plan.count = strtoull(optarg, NULL, 10);
    else if (option == 'c') plan.connections = atoi(optarg);
    else if (option == 'r') plan.rate = atof(optarg);
    else if (option == 'e') random_state = strtoull(optarg, NULL, 10) * 2 + 1;
    else if (option == 'i') capacity = atoi(optarg);
    else if (option == 'f') add_sources(optarg);
    else if (option == 'w') plan.warm_up = atof(optarg);
    else if (option == 'm') max_samples = strtoull(optarg, NULL, 10);
    else if (option == 'k') keep = true;
    else return 2;
  }
  if (plan.connections > 0) capacity = plan.connections;
  bool bounded = plan.seconds > 0 ? plan.seconds <= MAX_SECONDS : plan.count != UINT64_MAX;
  if (!bounded || target_count == 0 || (plan.connections > 0) == (plan.rate > 0) || (keep && plan.rate > 0) ||
      capacity < 1 || capacity > MAX_CONNECTIONS || (target_count > 1 && plan.connections > 1)) {
    errno = 0;
    stop("the arguments");
  }
  if (max_samples > MAX_SAMPLES) max_samples = MAX_SAMPLES;
  write_requests();
  /* Wake up when it is due, not within 50 µs of it. */
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  struct rlimit files = {.rlim_cur = MAX_CONNECTIONS + 64, .rlim_max = MAX_CONNECTIONS + 64};
  setrlimit(RLIMIT_NOFILE, &files);
  connections = calloc((size_t)capacity, sizeof(*connections));
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (connections == NULL || epoll_fd < 0) stop("start");
  for (int i = 0; i < capacity; i++) connections[i] = (struct connection){.fd = -1, .next_free = i + 1 < capacity ? i + 1 : -1};
  int64_t start = now_ns();
  run(&plan);
  report((double)(now_ns() - start) / 1e9 - plan.warm_up);
  return 0;
}
