/* The gate's epoll set, polled from Node's loop.
 *
 * Its turn comes behind the other descriptors of a wake-up (a check handle of libuv), so that answers to what was handed
 * over before are dealt with first: a flow that is steered sooner has fewer packets to park.
 *
 * One wake-up: epoll_wait, accept4 up to a batch, recv(MSG_PEEK) for each connection, one call into JavaScript with all
 * of it. A connection joins the epoll set only when JavaScript asks (gateAdd): one whose head is there at once costs
 * accept4 and recv alone. Edge-triggered, since the peeked bytes stay in the queue; every arriving segment is a new edge.
 *
 * JavaScript may add, remove and close descriptors while it is called in the middle of a batch. An event that became
 * stale by that carries an old generation, by which JavaScript knows it. */
#include "gate.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <uv.h>

#define EVENT_BATCH 256
#define ACCEPT_BATCH 64

typedef struct {
  uv_poll_t poll;
  uv_check_t turn;
  napi_env env;
  napi_async_cleanup_hook_handle hook;
  napi_async_context context;
  napi_ref callback, records_ref, bytes_ref;
  int epfd;
  gate_record *records;
  uint32_t capacity, count;
  uint8_t *bytes;
  size_t bytes_size, used, peek_bytes;
  gate_listener *listeners;
  uint32_t listener_count;
  bool accepting, closed;
  int holders; /* the JavaScript object and the uv handles */
} gate;

static void let_go(gate *g) {
  if (--g->holders == 0) {
    free(g->listeners);
    free(g);
  }
}

static void on_poll_closed(uv_handle_t *handle) {
  gate *g = handle->data;
  if (g->hook != NULL) napi_remove_async_cleanup_hook(g->hook);
  let_go(g);
}

static void on_turn_closed(uv_handle_t *handle) { let_go(handle->data); }

static void close_gate(gate *g) {
  if (g->closed) return;
  g->closed = true;
  for (uint32_t i = 0; i < g->listener_count; i++) {
    if (g->listeners[i].fd >= 0) close(g->listeners[i].fd);
    g->listeners[i].fd = -1;
  }
  uv_poll_stop(&g->poll);
  uv_check_stop(&g->turn);
  close(g->epfd);
  napi_delete_reference(g->env, g->callback);
  napi_delete_reference(g->env, g->records_ref);
  napi_delete_reference(g->env, g->bytes_ref);
  napi_async_destroy(g->env, g->context);
  uv_close((uv_handle_t *)&g->turn, on_turn_closed);
  uv_close((uv_handle_t *)&g->poll, on_poll_closed);
}

static void on_environment_ends(napi_async_cleanup_hook_handle hook, void *data) {
  (void)hook;
  close_gate(data);
}

/* Hands the collected records to JavaScript. The gate may be closed when this returns. */
static void deliver(gate *g) {
  napi_handle_scope scope;
  napi_value callback, global, argument, result;
  napi_env env = g->env;
  uint32_t count = g->count;
  if (count == 0) return;
  g->count = 0;
  g->used = 0;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  if (napi_get_reference_value(env, g->callback, &callback) == napi_ok &&
      napi_get_global(env, &global) == napi_ok && napi_create_uint32(env, count, &argument) == napi_ok &&
      napi_make_callback(env, g->context, global, callback, 1, &argument, &result) != napi_ok) {
    napi_value error;
    bool pending = false;
    napi_is_exception_pending(env, &pending);
    if (pending && napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

/* Makes room for one record and a whole peek. */
static void make_room(gate *g) {
  if (g->count == g->capacity || g->bytes_size - g->used < g->peek_bytes) deliver(g);
}

static gate_record *next_record(gate *g, int32_t event, int fd, int32_t tag) {
  gate_record *record = &g->records[g->count++];
  record->event = event;
  record->fd = fd;
  record->tag = tag;
  record->offset = (int32_t)g->used;
  record->length = 0;
  record->flags = 0;
  record->queued = 0;
  return record;
}

static void peek(gate *g, gate_record *record) {
  ssize_t got;
  do {
    got = recv(record->fd, g->bytes + g->used, g->peek_bytes, MSG_PEEK | MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  if (got > 0) {
    record->length = (int32_t)got;
    record->queued = (int32_t)got;
    g->used += (size_t)got;
    int queued;
    if ((size_t)got == g->peek_bytes && ioctl(record->fd, SIOCINQ, &queued) == 0 && queued > got) {
      record->queued = queued;
    }
  } else if (got == 0) {
    record->flags |= GATE_HALF_CLOSED;
  } else if (errno != EAGAIN) {
    record->length = -errno;
  }
}

static int set_accepting(gate *g, bool on) {
  g->accepting = on;
  for (uint32_t i = 0; i < g->listener_count; i++) {
    struct epoll_event event = {.events = on ? EPOLLIN : 0, .data.u64 = i};
    if (g->listeners[i].fd >= 0 && epoll_ctl(g->epfd, EPOLL_CTL_MOD, g->listeners[i].fd, &event) != 0) return errno;
  }
  return 0;
}

/* An error of the one connection that was about to be accepted, not of the listener: accept(2). */
static bool is_passing(int err) {
  switch (err) {
    case ECONNABORTED: case EPROTO: case EPERM: case EINTR: case ENETDOWN: case ENOPROTOOPT:
    case EHOSTDOWN: case ENONET: case EHOSTUNREACH: case EOPNOTSUPP: case ENETUNREACH:
      return true;
    default:
      return false;
  }
}

/* Accepts up to `limit` connections. Returns false when the queue is empty or accepting has stopped. */
static bool accept_batch(gate *g, uint32_t index, int limit) {
  for (int i = 0; i < limit; i++) {
    struct sockaddr_storage peer;
    socklen_t length = sizeof(peer);
    make_room(g);
    if (g->closed || !g->accepting || g->listeners[index].fd < 0) return false;
    const gate_listener *listener = &g->listeners[index]; /* fetched anew: the call above may have moved them */
    int fd = accept4(listener->fd, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      int err = errno;
      if (err == EAGAIN) return false;
      if (is_passing(err)) continue;
      /* EMFILE and the like: a level-triggered listener would spin, so all of them rest. */
      next_record(g, GATE_ACCEPT_FAILED, -1, (int32_t)index)->length = -err;
      set_accepting(g, false);
      return false;
    }
    gate_record *record = next_record(g, GATE_ACCEPTED, fd, (int32_t)index);
    gate_address(&peer, record->flow, record->flow + 32);
    if (listener->any_address) {
      length = sizeof(peer);
      if (getsockname(fd, (struct sockaddr *)&peer, &length) == 0) {
        gate_address(&peer, record->flow + 16, record->flow + 34);
      } else {
        record->length = -errno;
        continue;
      }
    } else {
      memcpy(record->flow + 16, listener->local, 16);
      memcpy(record->flow + 34, &listener->port, 2);
    }
    peek(g, record);
  }
  return true;
}

static void look(gate *g, int fd, uint32_t generation, uint32_t events) {
  make_room(g);
  if (g->closed) return;
  gate_record *record = next_record(g, GATE_READABLE, fd, (int32_t)generation);
  if (events & EPOLLRDHUP) record->flags |= GATE_HALF_CLOSED;
  if (events & (EPOLLERR | EPOLLHUP)) record->flags |= GATE_HUNG_UP;
  peek(g, record);
}

static void on_turn(uv_check_t *handle) {
  gate *g = handle->data;
  struct epoll_event ready[EVENT_BATCH];
  uv_check_stop(handle);
  int count = epoll_wait(g->epfd, ready, EVENT_BATCH, 0);
  for (int i = 0; i < count && !g->closed; i++) {
    uint32_t low = (uint32_t)ready[i].data.u64, generation = (uint32_t)(ready[i].data.u64 >> 32);
    if (generation == 0) {
      accept_batch(g, low, ACCEPT_BATCH);
    } else {
      look(g, (int)low, generation, ready[i].events);
    }
  }
  if (!g->closed) deliver(g);
}

static void on_ready(uv_poll_t *handle, int status, int events) {
  gate *g = handle->data;
  (void)status;
  (void)events;
  uv_check_start(&g->turn, on_turn);
}

/* --- calls from JavaScript ------------------------------------------------------------------------------------- */

/* Reads the arguments; argv[0] is the gate. NULL with a pending exception on failure or when it is closed. */
static gate *arguments(napi_env env, napi_callback_info info, size_t count, napi_value *argv) {
  size_t argc = count;
  void *data;
  NAPI_TRY(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  NAPI_TRY(env, napi_get_value_external(env, argv[0], &data));
  if (((gate *)data)->closed) {
    baton_throw_errno(env, "gate", EBADF);
    return NULL;
  }
  return data;
}

static void finalize(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  let_go(data);
}

/* gateOpen(records: Int32Array, bytes: Uint8Array, peekBytes, callback(count)) → gate */
static napi_value gate_open(napi_env env, napi_callback_info info) {
  size_t argc = 4, records_length, bytes_length;
  napi_value argv[4], name, result;
  napi_typedarray_type type;
  void *records, *bytes;
  uint32_t peek_bytes;
  uv_loop_t *loop;
  NAPI_TRY(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  NAPI_TRY(env, napi_get_typedarray_info(env, argv[0], &type, &records_length, &records, NULL, NULL));
  NAPI_TRY(env, napi_get_typedarray_info(env, argv[1], &type, &bytes_length, &bytes, NULL, NULL));
  NAPI_TRY(env, napi_get_value_uint32(env, argv[2], &peek_bytes));
  NAPI_TRY(env, napi_get_uv_event_loop(env, &loop));
  NAPI_TRY(env, napi_create_string_utf8(env, "baton.gate", NAPI_AUTO_LENGTH, &name));
  if (peek_bytes == 0 || bytes_length < peek_bytes || records_length * 4 < sizeof(gate_record)) {
    return baton_throw_errno(env, "gate buffers", EINVAL);
  }
  gate *g = calloc(1, sizeof(*g));
  if (g == NULL) return baton_throw_errno(env, "calloc", ENOMEM);
  g->env = env;
  g->records = records;
  g->capacity = (uint32_t)(records_length * 4 / sizeof(gate_record));
  g->bytes = bytes;
  g->bytes_size = bytes_length;
  g->peek_bytes = peek_bytes;
  g->accepting = true;
  g->poll.data = g;
  g->turn.data = g;
  g->epfd = epoll_create1(EPOLL_CLOEXEC);
  if (g->epfd < 0) {
    int err = errno;
    free(g);
    return baton_throw_errno(env, "epoll_create1", err);
  }
  int rc = uv_poll_init(loop, &g->poll, g->epfd);
  if (rc != 0) {
    close(g->epfd);
    free(g);
    return baton_throw_errno(env, "uv_poll_init", -rc);
  }
  uv_check_init(loop, &g->turn);
  g->holders = 2;
  /* From here on close_gate undoes all of it; a reference that was not made is NULL, which N-API refuses harmlessly. */
  if (napi_async_init(env, NULL, name, &g->context) != napi_ok ||
      napi_create_reference(env, argv[3], 1, &g->callback) != napi_ok ||
      napi_create_reference(env, argv[0], 1, &g->records_ref) != napi_ok ||
      napi_create_reference(env, argv[1], 1, &g->bytes_ref) != napi_ok ||
      napi_add_async_cleanup_hook(env, on_environment_ends, g, &g->hook) != napi_ok ||
      napi_create_external(env, g, finalize, NULL, &result) != napi_ok) {
    close_gate(g);
    return baton_throw_errno(env, "N-API", ENOMEM);
  }
  g->holders = 3;
  rc = uv_poll_start(&g->poll, UV_READABLE, on_ready);
  if (rc != 0) {
    close_gate(g);
    return baton_throw_errno(env, "uv_poll_start", -rc);
  }
  return result;
}

/* gateListen(gate, address, port, backlog, deferSeconds) → { index, port } */
static napi_value gate_listen(napi_env env, napi_callback_info info) {
  napi_value argv[5], result, value;
  char address[64];
  size_t length;
  uint32_t port;
  int32_t backlog, defer_seconds;
  const char *step = "";
  gate *g = arguments(env, info, 5, argv);
  if (g == NULL) return NULL;
  NAPI_TRY(env, napi_get_value_string_utf8(env, argv[1], address, sizeof(address), &length));
  NAPI_TRY(env, napi_get_value_uint32(env, argv[2], &port));
  NAPI_TRY(env, napi_get_value_int32(env, argv[3], &backlog));
  NAPI_TRY(env, napi_get_value_int32(env, argv[4], &defer_seconds));
  gate_listener *grown = realloc(g->listeners, (g->listener_count + 1) * sizeof(gate_listener));
  if (grown == NULL) return baton_throw_errno(env, "realloc", ENOMEM);
  g->listeners = grown;
  gate_listener *listener = &grown[g->listener_count];
  int fd = gate_make_listener(listener, address, (uint16_t)port, backlog, defer_seconds, &step);
  if (fd < 0) return baton_throw_errno(env, step, -fd);
  struct epoll_event event = {.events = g->accepting ? EPOLLIN : 0, .data.u64 = g->listener_count};
  if (epoll_ctl(g->epfd, EPOLL_CTL_ADD, fd, &event) != 0) {
    int err = errno;
    close(fd);
    return baton_throw_errno(env, "epoll_ctl", err);
  }
  uint32_t index = g->listener_count++;
  NAPI_TRY(env, napi_create_object(env, &result));
  NAPI_TRY(env, napi_create_uint32(env, index, &value));
  NAPI_TRY(env, napi_set_named_property(env, result, "index", value));
  NAPI_TRY(env, napi_create_uint32(env, ntohs(listener->port), &value));
  NAPI_TRY(env, napi_set_named_property(env, result, "port", value));
  return result;
}

/* gateUnlisten(gate, index, drain): takes what the kernel has accepted already, if asked to, and closes the listener. */
static napi_value gate_unlisten(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  uint32_t index;
  bool drain;
  gate *g = arguments(env, info, 3, argv);
  if (g == NULL) return NULL;
  NAPI_TRY(env, napi_get_value_uint32(env, argv[1], &index));
  NAPI_TRY(env, napi_get_value_bool(env, argv[2], &drain));
  if (index >= g->listener_count || g->listeners[index].fd < 0) return NULL;
  if (drain) {
    for (int round = 0; round < 1024 && accept_batch(g, index, ACCEPT_BATCH); round++) {
    }
    if (!g->closed) deliver(g);
  }
  if (!g->closed && g->listeners[index].fd >= 0) {
    close(g->listeners[index].fd);
    g->listeners[index].fd = -1;
  }
  return NULL;
}

/* gateAccepting(gate, on) */
static napi_value gate_accepting(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  bool on;
  gate *g = arguments(env, info, 2, argv);
  if (g == NULL) return NULL;
  NAPI_TRY(env, napi_get_value_bool(env, argv[1], &on));
  int err = set_accepting(g, on);
  if (err != 0) return baton_throw_errno(env, "epoll_ctl", err);
  return NULL;
}

/* gateAdd(gate, fd, generation): fires at once when something is there already. */
static napi_value gate_add(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  uint32_t fd, generation;
  gate *g = arguments(env, info, 3, argv);
  if (g == NULL) return NULL;
  NAPI_TRY(env, napi_get_value_uint32(env, argv[1], &fd));
  NAPI_TRY(env, napi_get_value_uint32(env, argv[2], &generation));
  struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET,
                              .data.u64 = (uint64_t)generation << 32 | fd};
  if (epoll_ctl(g->epfd, EPOLL_CTL_ADD, (int)fd, &event) != 0) return baton_throw_errno(env, "epoll_ctl", errno);
  return NULL;
}

/* gateRemove(gate, fd) → whether it was in the set */
static napi_value gate_remove(napi_env env, napi_callback_info info) {
  napi_value argv[2], result;
  int32_t fd;
  struct epoll_event event = {0};
  gate *g = arguments(env, info, 2, argv);
  if (g == NULL) return NULL;
  NAPI_TRY(env, napi_get_value_int32(env, argv[1], &fd));
  bool removed = epoll_ctl(g->epfd, EPOLL_CTL_DEL, fd, &event) == 0;
  NAPI_TRY(env, napi_get_boolean(env, removed, &result));
  return result;
}

/* gateConsume(fd, bytes) → how many were there and are gone now: fewer than asked for only where something broke. With
 * MSG_TRUNC a TCP socket throws them away instead of copying them (tcp(7)). */
static napi_value gate_consume(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2], result;
  int32_t fd;
  uint32_t bytes;
  NAPI_TRY(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  NAPI_TRY(env, napi_get_value_int32(env, argv[0], &fd));
  NAPI_TRY(env, napi_get_value_uint32(env, argv[1], &bytes));
  ssize_t gone;
  do {
    gone = recv(fd, NULL, bytes, MSG_TRUNC | MSG_DONTWAIT);
  } while (gone < 0 && errno == EINTR);
  NAPI_TRY(env, napi_create_int32(env, gone < 0 ? 0 : (int32_t)gone, &result));
  return result;
}

/* gateWiden(fd, bytes): lets the receive window grow to hold that much unread. It would not by itself, since the kernel
 * widens it only as an application reads: tcp_rcv_space_adjust. Raising SO_RCVLOWAT is what grows buffer and clamp
 * without locking them (net/ipv4/tcp.c, tcp_set_rcvlowat); it is put back at once. */
static napi_value gate_widen(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  int32_t fd, bytes;
  const int one = 1;
  NAPI_TRY(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  NAPI_TRY(env, napi_get_value_int32(env, argv[0], &fd));
  NAPI_TRY(env, napi_get_value_int32(env, argv[1], &bytes));
  if (setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes)) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one)) != 0) {
    return baton_throw_errno(env, "SO_RCVLOWAT", errno);
  }
  return NULL;
}

/* gateClose(gate): closes epoll set and listeners; connections stay open. */
static napi_value gate_close(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  gate *g = arguments(env, info, 1, argv);
  if (g != NULL) close_gate(g);
  return NULL;
}

static bool export_layout(napi_env env, napi_value exports) {
  const struct {
    const char *name;
    uint32_t value;
  } fields[] = {
      {"recordWords", sizeof(gate_record) / 4},
      {"event", offsetof(gate_record, event) / 4},
      {"fd", offsetof(gate_record, fd) / 4},
      {"tag", offsetof(gate_record, tag) / 4},
      {"offset", offsetof(gate_record, offset) / 4},
      {"length", offsetof(gate_record, length) / 4},
      {"flags", offsetof(gate_record, flags) / 4},
      {"queued", offsetof(gate_record, queued) / 4},
      {"flowBytes", offsetof(gate_record, flow)},
      {"accepted", GATE_ACCEPTED},
      {"readable", GATE_READABLE},
      {"acceptFailed", GATE_ACCEPT_FAILED},
      {"halfClosed", GATE_HALF_CLOSED},
      {"hungUp", GATE_HUNG_UP},
  };
  napi_value layout, value;
  if (napi_create_object(env, &layout) != napi_ok) return false;
  for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
    if (napi_create_uint32(env, fields[i].value, &value) != napi_ok ||
        napi_set_named_property(env, layout, fields[i].name, value) != napi_ok) {
      return false;
    }
  }
  return napi_set_named_property(env, exports, "gateLayout", layout) == napi_ok;
}

bool baton_init_gate(napi_env env, napi_value exports) {
  const baton_method methods[] = {
      {"gateOpen", gate_open},   {"gateListen", gate_listen},       {"gateUnlisten", gate_unlisten},
      {"gateAdd", gate_add},     {"gateAccepting", gate_accepting}, {"gateRemove", gate_remove},
      {"gateConsume", gate_consume}, {"gateWiden", gate_widen}, {"gateClose", gate_close},
  };
  return export_layout(env, exports) && baton_define(env, exports, methods, sizeof(methods) / sizeof(methods[0]));
}
