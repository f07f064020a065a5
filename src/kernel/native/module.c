#include "common.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool baton_define(napi_env env, napi_value exports, const baton_method *methods, size_t count) {
  for (size_t i = 0; i < count; i++) {
    napi_value fn;
    if (napi_create_function(env, methods[i].name, NAPI_AUTO_LENGTH, methods[i].call, NULL, &fn) != napi_ok ||
        napi_set_named_property(env, exports, methods[i].name, fn) != napi_ok) {
      return false;
    }
  }
  return true;
}

napi_value baton_throw_errno(napi_env env, const char *step, int err) {
  char text[256];
  napi_value message, error, value;
  snprintf(text, sizeof(text), "%s: %s", step, strerror(err));
  if (napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message) == napi_ok &&
      napi_create_error(env, NULL, message, &error) == napi_ok &&
      napi_create_int32(env, err, &value) == napi_ok &&
      napi_set_named_property(env, error, "errno", value) == napi_ok &&
      napi_create_string_utf8(env, step, NAPI_AUTO_LENGTH, &value) == napi_ok &&
      napi_set_named_property(env, error, "step", value) == napi_ok) {
    napi_throw(env, error);
  }
  return NULL;
}

static napi_value init(napi_env env, napi_value exports) {
  if (!baton_init_host(env, exports) || !baton_init_repair(env, exports) || !baton_init_gate(env, exports) ||
      !baton_init_bpf(env, exports) || !baton_init_tap(env, exports) ||
      !baton_init_stream(env, exports)) {
    bool pending = false;
    napi_is_exception_pending(env, &pending);
    if (!pending) napi_throw_error(env, NULL, "baton: the native addon could not be set up");
    return NULL;
  }
  return exports;
}

NAPI_MODULE(NODE_GYP_MODULE_NAME, init)
