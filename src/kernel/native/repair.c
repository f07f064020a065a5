#include "common.h"

bool baton_init_repair(napi_env env, napi_value exports) {
  (void)env;
  (void)exports;
  return true;
}
