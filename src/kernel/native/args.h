/* Arguments of a native call, one at a time: each returns false with a pending exception when the type is wrong. */
#ifndef BATON_ARGS_H
#define BATON_ARGS_H

#include "common.h"

static inline bool arg_failed(napi_env env, const char *name) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_type_error(env, NULL, name);
  return false;
}

static inline bool arg_int(napi_env env, napi_value value, int32_t *out) {
  return napi_get_value_int32(env, value, out) == napi_ok || arg_failed(env, "an integer is expected");
}

static inline bool arg_uint(napi_env env, napi_value value, uint32_t *out) {
  return napi_get_value_uint32(env, value, out) == napi_ok || arg_failed(env, "an unsigned integer is expected");
}

/* Fails for a text that does not fit, rather than to cut it. */
static inline bool arg_text(napi_env env, napi_value value, char *out, size_t size) {
  size_t length;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) return arg_failed(env, "a string is expected");
  if (length >= size) return arg_failed(env, "the string is too long");
  return napi_get_value_string_utf8(env, value, out, size, &length) == napi_ok || arg_failed(env, "a string is expected");
}

static inline bool arg_bytes(napi_env env, napi_value value, void **data, size_t *length) {
  return napi_get_buffer_info(env, value, data, length) == napi_ok || arg_failed(env, "a Buffer is expected");
}

/* Reads `want` arguments, no fewer. */
static inline bool args(napi_env env, napi_callback_info info, size_t want, napi_value *argv) {
  size_t argc = want;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok) return arg_failed(env, "arguments");
  return argc >= want || arg_failed(env, "an argument is missing");
}

static inline napi_value result_int(napi_env env, int64_t number) {
  napi_value value;
  NAPI_TRY(env, napi_create_int64(env, number, &value));
  return value;
}

static inline napi_value result_bool(napi_env env, bool truth) {
  napi_value value;
  NAPI_TRY(env, napi_get_boolean(env, truth, &value));
  return value;
}

/* object[name] = number; false with a pending exception on failure. */
static inline bool set_number(napi_env env, napi_value object, const char *name, double number) {
  napi_value value;
  return (napi_create_double(env, number, &value) == napi_ok &&
          napi_set_named_property(env, object, name, value) == napi_ok) ||
         arg_failed(env, name);
}

static inline bool set_text(napi_env env, napi_value object, const char *name, const char *text) {
  napi_value value;
  return (napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value) == napi_ok &&
          napi_set_named_property(env, object, name, value) == napi_ok) ||
         arg_failed(env, name);
}

#endif
