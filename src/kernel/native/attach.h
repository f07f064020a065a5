#ifndef BATON_ATTACH_H
#define BATON_ATTACH_H

#include "common.h"

/* The part of bpf.c that lives in attach.c: where a program hangs. */
bool baton_init_attach(napi_env env, napi_value exports);

/* And in cgroup.c. */
bool baton_init_cgroup(napi_env env, napi_value exports);

#endif
