/* The addon's calls for moving a connection. Each returns a number: ≥ 0 is its result, < 0 is minus the step that
   failed, with its errno in the register file. */
#include "repair.h"
#include "common.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const register_names[] = {
#define NAME(name, text) text,
    BATON_REPAIR_REGISTERS(NAME)};
static const char *const step_names[] = {BATON_REPAIR_STEPS(NAME)};
static const char *const finish_names[] = {BATON_REPAIR_FINISHES(NAME)};
#undef NAME

static napi_value number(napi_env env, int64_t value) {
  napi_value result;
  NAPI_TRY(env, napi_create_int64(env, value, &result));
  return result;
}

/* The register file: a Uint32Array of R_COUNT elements. Returns NULL with a pending exception for anything else. */
static uint32_t *registers(napi_env env, napi_value value) {
  napi_typedarray_type type;
  size_t length;
  void *data;
  NAPI_TRY(env, napi_get_typedarray_info(env, value, &type, &length, &data, NULL, NULL));
  if (type != napi_uint32_array || length < R_COUNT) {
    napi_throw_type_error(env, NULL, "the register file is a Uint32Array of at least the layout's size");
    return NULL;
  }
  return data;
}

static uint8_t *flow_key(napi_env env, napi_value value) {
  void *data;
  size_t length;
  NAPI_TRY(env, napi_get_buffer_info(env, value, &data, &length));
  if (length != BATON_FLOW_KEY_BYTES) {
    napi_throw_range_error(env, NULL, "a flow key has 36 bytes");
    return NULL;
  }
  return data;
}

static napi_value names(napi_env env, const char *const *list, uint32_t count) {
  napi_value array, text;
  NAPI_TRY(env, napi_create_array_with_length(env, count, &array));
  for (uint32_t i = 0; i < count; i++) {
    NAPI_TRY(env, napi_create_string_utf8(env, list[i], NAPI_AUTO_LENGTH, &text));
    NAPI_TRY(env, napi_set_element(env, array, i, text));
  }
  return array;
}

/* repairLayout() → { registers, finishes, steps }: names, in the order of their numbers. */
static napi_value repair_layout(napi_env env, napi_callback_info info) {
  napi_value layout, list;
  NAPI_TRY(env, napi_create_object(env, &layout));
  if ((list = names(env, register_names, R_COUNT)) == NULL) return NULL;
  NAPI_TRY(env, napi_set_named_property(env, layout, "registers", list));
  if ((list = names(env, finish_names, FINISH_COUNT)) == NULL) return NULL;
  NAPI_TRY(env, napi_set_named_property(env, layout, "finishes", list));
  if ((list = names(env, step_names, STEP_COUNT)) == NULL) return NULL;
  NAPI_TRY(env, napi_set_named_property(env, layout, "steps", list));
  return layout;
}

/* repairFreeze(fd, registers, scratch, key, keyKnown, again) → 0, or the bytes that the scratch buffer must have: then
   the socket is frozen already, and the call is to be made again, with again = true. */
static napi_value repair_freeze(napi_env env, napi_callback_info info) {
  size_t argc = 6, capacity, needed = 0;
  napi_value argv[6];
  int32_t fd;
  void *scratch;
  bool known, again;
  NAPI_TRY(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  NAPI_TRY(env, napi_get_value_int32(env, argv[0], &fd));
  uint32_t *r = registers(env, argv[1]);
  if (r == NULL) return NULL;
  NAPI_TRY(env, napi_get_buffer_info(env, argv[2], &scratch, &capacity));
  uint8_t *key = flow_key(env, argv[3]);
  if (key == NULL) return NULL;
  NAPI_TRY(env, napi_get_value_bool(env, argv[4], &known));
  NAPI_TRY(env, napi_get_value_bool(env, argv[5], &again));
  int step = baton_repair_freeze(fd, r, scratch, capacity, key, known, again, &needed);
  return number(env, step == STEP_NONE ? (int64_t)needed : -step);
}

/* repairThaw(fd, registers, sndWnd) → 0. sndWnd: the send window that a freeze holds at 0; 0 for none. */
static napi_value repair_thaw(napi_env env, napi_callback_info info) {
  size_t argc = 3;
  napi_value argv[3];
  int32_t fd;
  uint32_t snd_wnd;
  NAPI_TRY(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  NAPI_TRY(env, napi_get_value_int32(env, argv[0], &fd));
  uint32_t *r = registers(env, argv[1]);
  if (r == NULL) return NULL;
  NAPI_TRY(env, napi_get_value_uint32(env, argv[2], &snd_wnd));
  return number(env, -baton_repair_thaw(fd, r, snd_wnd));
}

/* repairRestore(registers, key, receiveQueue, sendQueue) → fd */
static napi_value repair_restore(napi_env env, napi_callback_info info) {
  size_t argc = 4, receive_bytes, send_bytes;
  napi_value argv[4];
  void *receive, *send;
  int fd = -1;
  NAPI_TRY(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  uint32_t *r = registers(env, argv[0]);
  if (r == NULL) return NULL;
  uint8_t *key = flow_key(env, argv[1]);
  if (key == NULL) return NULL;
  NAPI_TRY(env, napi_get_buffer_info(env, argv[2], &receive, &receive_bytes));
  NAPI_TRY(env, napi_get_buffer_info(env, argv[3], &send, &send_bytes));
  int step = baton_repair_restore(r, key, receive, receive_bytes, send, send_bytes, &fd);
  return number(env, step == STEP_NONE ? fd : -step);
}

/* repairDiscard(fd, registers) → 0. Repair mode is switched on again first: it is what makes the close silent. */
static napi_value repair_discard(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  int32_t fd;
  int on = TCP_REPAIR_ON;
  NAPI_TRY(env, napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  NAPI_TRY(env, napi_get_value_int32(env, argv[0], &fd));
  uint32_t *r = registers(env, argv[1]);
  if (r == NULL) return NULL;
  if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) != 0) {
    return number(env, -baton_repair_fail(r, STEP_REPAIR_ON, errno));
  }
  if (close(fd) != 0) return number(env, -baton_repair_fail(r, STEP_CLOSE, errno));
  return number(env, 0);
}

bool baton_init_repair(napi_env env, napi_value exports) {
  const baton_method methods[] = {
      {"repairLayout", repair_layout}, {"repairFreeze", repair_freeze},   {"repairThaw", repair_thaw},
      {"repairRestore", repair_restore}, {"repairDiscard", repair_discard},
  };
  return baton_define(env, exports, methods, sizeof(methods) / sizeof(methods[0]));
}
