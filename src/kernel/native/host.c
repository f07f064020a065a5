/* Calls about the host rather than about one connection: network namespaces, readiness of a descriptor, a file in memory. */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uv.h>

/* enterNetns(path) → descriptor of the thread's namespace before, for leaveNetns */
static napi_value enter_netns(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1], result;
  char path[4096];
  size_t length;
  NAPI_TRY(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  NAPI_TRY(env, napi_get_value_string_utf8(env, argv[0], path, sizeof(path), &length));
  int before = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (before < 0) return baton_throw_errno(env, "open own network namespace", errno);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    int err = errno;
    close(before);
    return baton_throw_errno(env, "open network namespace", err);
  }
  int rc = setns(fd, CLONE_NEWNET);
  int err = errno;
  close(fd);
  if (rc != 0) {
    close(before);
    return baton_throw_errno(env, "setns", err);
  }
  NAPI_TRY(env, napi_create_int32(env, before, &result));
  return result;
}

static napi_value leave_netns(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  int32_t fd;
  NAPI_TRY(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  NAPI_TRY(env, napi_get_value_int32(env, argv[0], &fd));
  int rc = setns(fd, CLONE_NEWNET);
  int err = errno;
  close(fd);
  if (rc != 0) return baton_throw_errno(env, "setns", err);
  return NULL;
}

static napi_value close_fd(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  int32_t fd;
  NAPI_TRY(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  NAPI_TRY(env, napi_get_value_int32(env, argv[0], &fd));
  if (close(fd) != 0) return baton_throw_errno(env, "close", errno);
  return NULL;
}

/* watchReadable(fd, callback) → stop(): level-triggered; the descriptor stays the caller's. */
typedef struct {
  uv_poll_t poll;
  napi_env env;
  napi_ref callback;
  napi_async_context context;
} watch;

static void on_watch_closed(uv_handle_t *handle) { free(handle->data); }

static void on_readable(uv_poll_t *handle, int status, int events) {
  watch *w = handle->data;
  napi_handle_scope scope;
  napi_value callback, global, result;
  (void)events;
  (void)status; /* an error is readable too: the reader meets it */
  if (napi_open_handle_scope(w->env, &scope) != napi_ok) return;
  if (napi_get_reference_value(w->env, w->callback, &callback) == napi_ok &&
      napi_get_global(w->env, &global) == napi_ok &&
      napi_make_callback(w->env, w->context, global, callback, 0, NULL, &result) != napi_ok) {
    napi_value error;
    bool pending = false;
    napi_is_exception_pending(w->env, &pending);
    if (pending && napi_get_and_clear_last_exception(w->env, &error) == napi_ok) {
      napi_fatal_exception(w->env, error);
    }
  }
  napi_close_handle_scope(w->env, scope);
}

static napi_value stop_watch(napi_env env, napi_callback_info info) {
  void *data;
  NAPI_TRY(env, napi_get_cb_info(env, info, NULL, NULL, NULL, &data));
  watch *w = data;
  if (w->callback == NULL) return NULL;
  uv_poll_stop(&w->poll);
  napi_delete_reference(env, w->callback);
  napi_async_destroy(env, w->context);
  w->callback = NULL;
  uv_close((uv_handle_t *)&w->poll, on_watch_closed);
  return NULL;
}

static napi_value watch_readable(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2], name, stop;
  int32_t fd;
  uv_loop_t *loop;
  NAPI_TRY(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  NAPI_TRY(env, napi_get_value_int32(env, argv[0], &fd));
  NAPI_TRY(env, napi_get_uv_event_loop(env, &loop));
  watch *w = calloc(1, sizeof(*w));
  if (w == NULL) return baton_throw_errno(env, "calloc", ENOMEM);
  w->env = env;
  w->poll.data = w;
  int rc = uv_poll_init(loop, &w->poll, fd);
  if (rc != 0) {
    free(w);
    return baton_throw_errno(env, "uv_poll_init", -rc);
  }
  NAPI_TRY(env, napi_create_string_utf8(env, "baton.watch", NAPI_AUTO_LENGTH, &name));
  NAPI_TRY(env, napi_async_init(env, NULL, name, &w->context));
  NAPI_TRY(env, napi_create_reference(env, argv[1], 1, &w->callback));
  uv_poll_start(&w->poll, UV_READABLE, on_readable);
  NAPI_TRY(env, napi_create_function(env, "stop", NAPI_AUTO_LENGTH, stop_watch, w, &stop));
  return stop;
}

static void unmap(napi_env env, void *data, void *hint) {
  (void)env;
  munmap(data, (size_t)(uintptr_t)hint);
}

/* The first `bytes` of what a descriptor stands for, as a Buffer that is shared with it and lasts as long. */
static napi_value map_shared(napi_env env, napi_callback_info info, bool allocate) {
  size_t argc = 2;
  napi_value argv[2], buffer;
  int32_t fd;
  uint32_t bytes;
  NAPI_TRY(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  NAPI_TRY(env, napi_get_value_int32(env, argv[0], &fd));
  NAPI_TRY(env, napi_get_value_uint32(env, argv[1], &bytes));
  int rc = allocate ? posix_fallocate(fd, 0, bytes) : 0;
  if (rc != 0) return baton_throw_errno(env, "fallocate", rc);
  void *data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  if (data == MAP_FAILED) return baton_throw_errno(env, "mmap", errno);
  if (napi_create_external_buffer(env, bytes, data, unmap, (void *)(uintptr_t)bytes, &buffer) != napi_ok) {
    munmap(data, bytes);
    return baton_throw_errno(env, "N-API", ENOMEM);
  }
  return buffer;
}

/* mapFile(fd, bytes) → Buffer: of a file. Its blocks are there when this returns, so that a store cannot fail for want of
 * space. */
static napi_value map_file(napi_env env, napi_callback_info info) { return map_shared(env, info, true); }

/* mapMemory(fd, bytes) → Buffer: of what has its memory already. */
static napi_value map_memory(napi_env env, napi_callback_info info) { return map_shared(env, info, false); }

bool baton_init_host(napi_env env, napi_value exports) {
  const baton_method methods[] = {
      {"enterNetns", enter_netns},
      {"leaveNetns", leave_netns},
      {"closeFd", close_fd},
      {"watchReadable", watch_readable},
      {"mapFile", map_file},
      {"mapMemory", map_memory},
  };
  return baton_define(env, exports, methods, sizeof(methods) / sizeof(methods[0]));
}
