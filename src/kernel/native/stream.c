/* One connected TCP socket that JavaScript reads and writes without a net.Socket: each event is one recv(2) into a buffer
 * that all of them share, each write one send(2). */
#include "args.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

/* Of one wake-up: then the others of the loop have their turn. */
#define READS 4

typedef struct {
  uv_poll_t poll;
  napi_env env;
  napi_ref callback;
  napi_ref bytes_ref;
  napi_async_context context;
  char *bytes;
  size_t size;
  int fd;        /* -1 once closed */
  int holders;   /* the loop's handle, JavaScript's */
} stream;

static void let_go(stream *s) {
  if (--s->holders == 0) free(s);
}

static void on_closed(uv_handle_t *handle) { let_go(handle->data); }

static void finalize(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  let_go(data);
}

static void shut(stream *s) {
  if (s->fd < 0) return;
  uv_poll_stop(&s->poll);
  close(s->fd);
  s->fd = -1;
  napi_delete_reference(s->env, s->callback);
  napi_delete_reference(s->env, s->bytes_ref);
  napi_async_destroy(s->env, s->context);
  uv_close((uv_handle_t *)&s->poll, on_closed);
}

/* callback(got, writable): got > 0 bytes stand in the buffer · 0 the peer has ended · < 0 -errno; with `writable` it
 * means nothing. The stream may be closed when this returns. */
static void tell(stream *s, int64_t got, bool writable) {
  napi_handle_scope scope;
  napi_value callback, global, argv[2], result;
  napi_env env = s->env;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  if (napi_get_reference_value(env, s->callback, &callback) == napi_ok && napi_get_global(env, &global) == napi_ok &&
      napi_create_int64(env, got, &argv[0]) == napi_ok && napi_get_boolean(env, writable, &argv[1]) == napi_ok &&
      napi_make_callback(env, s->context, global, callback, 2, argv, &result) != napi_ok) {
    napi_value error;
    bool pending = false;
    napi_is_exception_pending(env, &pending);
    if (pending && napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

static void on_ready(uv_poll_t *handle, int status, int events) {
  stream *s = handle->data;
  s->holders++; /* JavaScript may close it from inside */
  if (status == 0 && events & UV_WRITABLE) tell(s, 0, true);
  /* With a status libuv has stopped polling: then everything that is left is read, and the error behind it. */
  for (int reads = 0; s->fd >= 0 && (status != 0 || (events & UV_READABLE && reads < READS)); reads++) {
    ssize_t got;
    do {
      got = recv(s->fd, s->bytes, s->size, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN) {
      if (status == 0) break;
      errno = ECONNRESET;
    }
    tell(s, got < 0 ? -errno : got, false);
    if (got <= 0 || (status == 0 && (size_t)got < s->size)) break;
  }
  let_go(s);
}

/* NULL with a pending exception when it is closed. */
static stream *stream_of(napi_env env, napi_value value) {
  void *data;
  if (napi_get_value_external(env, value, &data) != napi_ok) {
    arg_failed(env, "a stream is expected");
    return NULL;
  }
  if (((stream *)data)->fd >= 0) return data;
  baton_throw_errno(env, "stream", EBADF);
  return NULL;
}

/* streamOpen(fd, bytes, callback) → stream, of a duplicate of the descriptor; reads at once. */
static napi_value stream_open(napi_env env, napi_callback_info info) {
  napi_value argv[3], name, result;
  int32_t fd;
  void *bytes;
  size_t size;
  uv_loop_t *loop;
  if (!args(env, info, 3, argv) || !arg_int(env, argv[0], &fd) || !arg_bytes(env, argv[1], &bytes, &size)) return NULL;
  NAPI_TRY(env, napi_get_uv_event_loop(env, &loop));
  NAPI_TRY(env, napi_create_string_utf8(env, "baton.stream", NAPI_AUTO_LENGTH, &name));
  stream *s = calloc(1, sizeof(*s));
  if (s == NULL) return baton_throw_errno(env, "calloc", ENOMEM);
  s->env = env;
  s->bytes = bytes;
  s->size = size;
  s->poll.data = s;
  s->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (s->fd < 0) {
    int err = errno;
    free(s);
    return baton_throw_errno(env, "dup", err);
  }
  int rc = uv_poll_init(loop, &s->poll, s->fd);
  if (rc != 0) {
    close(s->fd);
    free(s);
    return baton_throw_errno(env, "uv_poll_init", -rc);
  }
  s->holders = 1;
  /* From here on shut() undoes all of it; a reference that was not made is NULL, which N-API refuses harmlessly. */
  if (napi_async_init(env, NULL, name, &s->context) != napi_ok ||
      napi_create_reference(env, argv[2], 1, &s->callback) != napi_ok ||
      napi_create_reference(env, argv[1], 1, &s->bytes_ref) != napi_ok ||
      napi_create_external(env, s, finalize, NULL, &result) != napi_ok) {
    shut(s);
    return baton_throw_errno(env, "N-API", ENOMEM);
  }
  s->holders = 2;
  rc = uv_poll_start(&s->poll, UV_READABLE, on_ready);
  if (rc != 0) {
    shut(s);
    return baton_throw_errno(env, "uv_poll_start", -rc);
  }
  return result;
}

/* streamWrite(stream, bytes, start, end) → how many the kernel took, 0 when it takes none now; < 0 -errno. */
static napi_value stream_write(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  void *bytes;
  size_t size;
  uint32_t start, end;
  if (!args(env, info, 4, argv) || !arg_bytes(env, argv[1], &bytes, &size) || !arg_uint(env, argv[2], &start) ||
      !arg_uint(env, argv[3], &end))
    return NULL;
  stream *s = stream_of(env, argv[0]);
  if (s == NULL) return NULL;
  if (end > size || start > end) return baton_throw_errno(env, "streamWrite", EINVAL);
  ssize_t sent;
  do {
    sent = send(s->fd, (char *)bytes + start, end - start, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return result_int(env, errno == EAGAIN ? 0 : -errno);
  return result_int(env, sent);
}

/* streamWatch(stream, reading, writing): what it calls back for. */
static napi_value stream_watch(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  bool reading, writing;
  if (!args(env, info, 3, argv)) return NULL;
  NAPI_TRY(env, napi_get_value_bool(env, argv[1], &reading));
  NAPI_TRY(env, napi_get_value_bool(env, argv[2], &writing));
  stream *s = stream_of(env, argv[0]);
  if (s == NULL) return NULL;
  int events = (reading ? UV_READABLE : 0) | (writing ? UV_WRITABLE : 0);
  int rc = events == 0 ? uv_poll_stop(&s->poll) : uv_poll_start(&s->poll, events, on_ready);
  if (rc != 0) return baton_throw_errno(env, "uv_poll_start", -rc);
  return NULL;
}

/* streamEnd(stream): FIN. */
static napi_value stream_end(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  if (!args(env, info, 1, argv)) return NULL;
  stream *s = stream_of(env, argv[0]);
  if (s == NULL) return NULL;
  if (shutdown(s->fd, SHUT_WR) != 0 && errno != ENOTCONN) return baton_throw_errno(env, "shutdown", errno);
  return NULL;
}

static napi_value stream_close(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  if (!args(env, info, 1, argv)) return NULL;
  stream *s = stream_of(env, argv[0]);
  if (s != NULL) shut(s);
  return NULL;
}

bool baton_init_stream(napi_env env, napi_value exports) {
  const baton_method methods[] = {
      {"streamOpen", stream_open}, {"streamWrite", stream_write}, {"streamWatch", stream_watch},
      {"streamEnd", stream_end},   {"streamClose", stream_close},
  };
  return baton_define(env, exports, methods, sizeof(methods) / sizeof(methods[0]));
}
