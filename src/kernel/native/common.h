/* Shared by every file of the addon: the checks around N-API calls, and one init function per file. */
#ifndef BATON_COMMON_H
#define BATON_COMMON_H

#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>

/* Leaves the current function with a pending JavaScript exception when an N-API call fails. */
#define NAPI_TRY(env, call)                                                    \
  do {                                                                         \
    if ((call) != napi_ok) {                                                   \
      bool pending = false;                                                    \
      napi_is_exception_pending((env), &pending);                              \
      if (!pending) napi_throw_error((env), NULL, "N-API call failed: " #call);\
      return NULL;                                                             \
    }                                                                          \
  } while (0)

typedef struct {
  const char *name;
  napi_callback call;
} baton_method;

/* Defines each method on exports. Returns false with a pending exception on failure. */
bool baton_define(napi_env env, napi_value exports, const baton_method *methods, size_t count);

/* Throws an Error with the properties { step: string, errno: number }; the message is "step: strerror". */
napi_value baton_throw_errno(napi_env env, const char *step, int err);

bool baton_init_host(napi_env env, napi_value exports);
bool baton_init_repair(napi_env env, napi_value exports);
bool baton_init_gate(napi_env env, napi_value exports);
bool baton_init_bpf(napi_env env, napi_value exports);
bool baton_init_tap(napi_env env, napi_value exports);
bool baton_init_stream(napi_env env, napi_value exports);

#endif
