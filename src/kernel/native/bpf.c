/* bpf(2): maps, singly and in batches, objects and pins. The caller (src/kernel/bpf.ts) has checked that key and value
 * buffers are as long as the map says. */
#include "args.h"
#include "attach.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_MAPS 16

/* The end of what libbpf and the verifier said during the last load: the reason of a failure stands there. */
static char bpf_log[8192];
static size_t bpf_log_length;

static int collect_log(enum libbpf_print_level level, const char *format, va_list list) {
  char line[4096];
  if (level == LIBBPF_DEBUG) return 0;
  int length = vsnprintf(line, sizeof(line), format, list);
  if (length <= 0) return 0;
  size_t add = (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1;
  if (bpf_log_length + add >= sizeof(bpf_log)) {
    size_t keep = sizeof(bpf_log) / 2 - 1;
    if (keep > bpf_log_length) keep = bpf_log_length;
    memmove(bpf_log, bpf_log + bpf_log_length - keep, keep);
    bpf_log_length = keep;
    if (bpf_log_length + add >= sizeof(bpf_log)) add = sizeof(bpf_log) - 1 - bpf_log_length;
  }
  memcpy(bpf_log + bpf_log_length, line, add);
  bpf_log_length += add;
  bpf_log[bpf_log_length] = 0;
  return 0;
}

/* As baton_throw_errno, with the property log. */
static napi_value throw_with_log(napi_env env, const char *step, int err) {
  napi_value error;
  baton_throw_errno(env, step, err);
  if (napi_get_and_clear_last_exception(env, &error) != napi_ok) return NULL;
  if (set_text(env, error, "log", bpf_log)) napi_throw(env, error);
  return NULL;
}

/* bpfLoad(object, maps: [name, fd, maxEntries][]) → { [map or program]: fd }. A map with fd ≥ 0 is used instead of a new
 * one; maxEntries 0 leaves the object's own number. The descriptors are the caller's. */
static bool prepare_map(napi_env env, napi_value row, struct bpf_object *object, const char **step) {
  napi_value item;
  char name[64];
  int32_t fd;
  uint32_t max_entries;
  if (napi_get_element(env, row, 0, &item) != napi_ok || !arg_text(env, item, name, sizeof(name)) ||
      napi_get_element(env, row, 1, &item) != napi_ok || !arg_int(env, item, &fd) ||
      napi_get_element(env, row, 2, &item) != napi_ok || !arg_uint(env, item, &max_entries)) {
    return arg_failed(env, "[name, fd, maxEntries] is expected");
  }
  struct bpf_map *map = bpf_object__find_map_by_name(object, name);
  *step = "find map";
  if (map == NULL) return false;
  *step = "reuse map";
  if (fd >= 0) return bpf_map__reuse_fd(map, fd) == 0;
  *step = "set max_entries";
  return max_entries == 0 || bpf_map__set_max_entries(map, max_entries) == 0;
}

static bool set_fd(napi_env env, napi_value result, const char *name, int fd, int *kept, size_t *count) {
  int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (own < 0) {
    baton_throw_errno(env, "dup", errno);
    return false;
  }
  kept[(*count)++] = own;
  return set_number(env, result, name, own);
}

static napi_value load(napi_env env, napi_callback_info info) {
  napi_value argv[2], row, result = NULL;
  char path[4096];
  uint32_t rows;
  int kept[2 * MAX_MAPS];
  size_t count = 0;
  const char *step = NULL;
  bool pending = false;
  if (!args(env, info, 2, argv) || !arg_text(env, argv[0], path, sizeof(path))) return NULL;
  NAPI_TRY(env, napi_get_array_length(env, argv[1], &rows));
  bpf_log_length = 0;
  bpf_log[0] = 0;
  struct bpf_object *object = bpf_object__open_file(path, NULL);
  if (object == NULL) return throw_with_log(env, "open eBPF object", errno);
  for (uint32_t i = 0; i < rows; i++) {
    if (napi_get_element(env, argv[1], i, &row) != napi_ok) goto fail;
    if (!prepare_map(env, row, object, &step)) goto fail;
  }
  step = "load eBPF object";
  errno = 0;
  if (bpf_object__load(object) != 0) goto fail;
  step = NULL;
  if (napi_create_object(env, &result) != napi_ok) goto fail;
  struct bpf_map *map;
  struct bpf_program *program;
  bpf_object__for_each_map(map, object) {
    if (count >= 2 * MAX_MAPS || !set_fd(env, result, bpf_map__name(map), bpf_map__fd(map), kept, &count)) goto fail;
  }
  bpf_object__for_each_program(program, object) {
    if (count >= 2 * MAX_MAPS || !set_fd(env, result, bpf_program__name(program), bpf_program__fd(program), kept, &count))
      goto fail;
  }
  bpf_object__close(object);
  return result;

fail:;
  int err = errno;
  bpf_object__close(object);
  while (count > 0) close(kept[--count]);
  napi_is_exception_pending(env, &pending);
  if (pending) return NULL;
  return throw_with_log(env, step == NULL ? "read eBPF object" : step, err == 0 ? EINVAL : err);
}

static napi_value pin(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  int32_t fd;
  char path[4096];
  if (!args(env, info, 2, argv) || !arg_int(env, argv[0], &fd) || !arg_text(env, argv[1], path, sizeof(path)))
    return NULL;
  if (bpf_obj_pin(fd, path) != 0) return baton_throw_errno(env, "BPF_OBJ_PIN", errno);
  return NULL;
}

/* bpfGet(path) → fd of what is pinned there; -1 if nothing is. */
static napi_value get(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  char path[4096];
  if (!args(env, info, 1, argv) || !arg_text(env, argv[0], path, sizeof(path))) return NULL;
  int fd = bpf_obj_get(path);
  if (fd < 0 && errno != ENOENT) return baton_throw_errno(env, "BPF_OBJ_GET", errno);
  return result_int(env, fd < 0 ? -1 : fd);
}

static napi_value map_info(napi_env env, napi_callback_info info) {
  napi_value argv[1], result;
  int32_t fd;
  struct bpf_map_info map = {};
  __u32 length = sizeof(map);
  if (!args(env, info, 1, argv) || !arg_int(env, argv[0], &fd)) return NULL;
  if (bpf_obj_get_info_by_fd(fd, &map, &length) != 0) return baton_throw_errno(env, "BPF_OBJ_GET_INFO_BY_FD", errno);
  NAPI_TRY(env, napi_create_object(env, &result));
  if (!set_number(env, result, "type", map.type) || !set_number(env, result, "id", map.id) ||
      !set_number(env, result, "keyBytes", map.key_size) || !set_number(env, result, "valueBytes", map.value_size) ||
      !set_number(env, result, "maxEntries", map.max_entries) ||
      !set_number(env, result, "possibleCpus", libbpf_num_possible_cpus()))
    return NULL;
  return result;
}

/* bpfLookup(fd, keys, keyBytes, values, valueBytes, found, count) → how many are there: found[i] is 1 and values[i]
 * filled in for those. */
static napi_value lookup(napi_env env, napi_callback_info info) {
  napi_value argv[7];
  int32_t fd;
  uint32_t key_bytes, value_bytes, count;
  void *keys, *values, *found;
  size_t length;
  int64_t hits = 0;
  if (!args(env, info, 7, argv) || !arg_int(env, argv[0], &fd) || !arg_bytes(env, argv[1], &keys, &length) ||
      !arg_uint(env, argv[2], &key_bytes) || !arg_bytes(env, argv[3], &values, &length) ||
      !arg_uint(env, argv[4], &value_bytes) || !arg_bytes(env, argv[5], &found, &length) ||
      !arg_uint(env, argv[6], &count))
    return NULL;
  for (uint32_t i = 0; i < count; i++) {
    int rc = bpf_map_lookup_elem(fd, (char *)keys + (size_t)i * key_bytes, (char *)values + (size_t)i * value_bytes);
    if (rc != 0 && errno != ENOENT) return baton_throw_errno(env, "BPF_MAP_LOOKUP_ELEM", errno);
    ((uint8_t *)found)[i] = rc == 0;
    hits += rc == 0;
  }
  return result_int(env, hits);
}

/* bpfUpdate(fd, keys, values, count) → how many were written: all, or those before the one that failed with E2BIG. */
static napi_value update(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  int32_t fd;
  uint32_t count;
  void *keys, *values;
  size_t length;
  if (!args(env, info, 4, argv) || !arg_int(env, argv[0], &fd) || !arg_bytes(env, argv[1], &keys, &length) ||
      !arg_bytes(env, argv[2], &values, &length) || !arg_uint(env, argv[3], &count))
    return NULL;
  if (count == 1) {
    if (bpf_map_update_elem(fd, keys, values, BPF_ANY) == 0) return result_int(env, 1);
    if (errno == E2BIG) return result_int(env, 0);
    return baton_throw_errno(env, "BPF_MAP_UPDATE_ELEM", errno);
  }
  LIBBPF_OPTS(bpf_map_batch_opts, options, .elem_flags = BPF_ANY);
  if (count > 0 && bpf_map_update_batch(fd, keys, values, &count, &options) != 0 && errno != E2BIG)
    return baton_throw_errno(env, "BPF_MAP_UPDATE_BATCH", errno);
  return result_int(env, count);
}

/* bpfDelete(fd, keys, keyBytes, count) → how many were there. One BPF_MAP_DELETE_BATCH where all are; it stops at a key
 * that is not there, and goes on behind it. */
static napi_value delete(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  int32_t fd;
  uint32_t key_bytes, count, done = 0, removed = 0;
  void *keys;
  size_t length;
  if (!args(env, info, 4, argv) || !arg_int(env, argv[0], &fd) || !arg_bytes(env, argv[1], &keys, &length) ||
      !arg_uint(env, argv[2], &key_bytes) || !arg_uint(env, argv[3], &count))
    return NULL;
  if (count == 1) {
    if (bpf_map_delete_elem(fd, keys) == 0) return result_int(env, 1);
    if (errno == ENOENT) return result_int(env, 0);
    return baton_throw_errno(env, "BPF_MAP_DELETE_ELEM", errno);
  }
  LIBBPF_OPTS(bpf_map_batch_opts, options);
  while (done < count) {
    __u32 step = count - done;
    if (bpf_map_delete_batch(fd, (char *)keys + (size_t)done * key_bytes, &step, &options) == 0) {
      removed += step;
      break;
    }
    if (errno != ENOENT) return baton_throw_errno(env, "BPF_MAP_DELETE_BATCH", errno);
    removed += step;
    done += step + 1;
  }
  return result_int(env, removed);
}

/* bpfDeleteMatching(fd, keys, keyBytes, count, valueBytes, heads, headBytes) → how many went: those whose value begins
 * with the headBytes bytes that stand for it in heads. */
static napi_value delete_matching(napi_env env, napi_callback_info info) {
  napi_value argv[7];
  int32_t fd;
  uint32_t key_bytes, count, value_bytes, head_bytes;
  void *keys, *heads;
  size_t length;
  char value[256];
  int64_t removed = 0;
  if (!args(env, info, 7, argv) || !arg_int(env, argv[0], &fd) || !arg_bytes(env, argv[1], &keys, &length) ||
      !arg_uint(env, argv[2], &key_bytes) || !arg_uint(env, argv[3], &count) ||
      !arg_uint(env, argv[4], &value_bytes) || !arg_bytes(env, argv[5], &heads, &length) ||
      !arg_uint(env, argv[6], &head_bytes))
    return NULL;
  if (value_bytes > sizeof(value) || head_bytes > value_bytes)
    return baton_throw_errno(env, "bpfDeleteMatching", EINVAL);
  for (uint32_t i = 0; i < count; i++) {
    char *key = (char *)keys + (size_t)i * key_bytes;
    if (bpf_map_lookup_elem(fd, key, value) == 0 &&
        memcmp(value, (char *)heads + (size_t)i * head_bytes, head_bytes) == 0 && bpf_map_delete_elem(fd, key) == 0)
      removed++;
  }
  return result_int(env, removed);
}

/* bpfScan(fd, cursor, keys, values, max) → how many were read. cursor is 16 bytes, zero at first; its byte 8 says that
 * a token stands in bytes 0–7, byte 9 that the end was met. Needs max ≥ the longest chain of a bucket. */
static napi_value scan(napi_env env, napi_callback_info info) {
  napi_value argv[5];
  int32_t fd;
  uint32_t max;
  void *cursor, *keys, *values;
  size_t length;
  if (!args(env, info, 5, argv) || !arg_int(env, argv[0], &fd) || !arg_bytes(env, argv[1], &cursor, &length) ||
      !arg_bytes(env, argv[2], &keys, &length) || !arg_bytes(env, argv[3], &values, &length) ||
      !arg_uint(env, argv[4], &max))
    return NULL;
  uint8_t *state = cursor;
  LIBBPF_OPTS(bpf_map_batch_opts, options);
  __u32 count = max;
  if (bpf_map_lookup_batch(fd, state[8] ? state : NULL, state, keys, values, &count, &options) != 0) {
    if (errno != ENOENT) return baton_throw_errno(env, "BPF_MAP_LOOKUP_BATCH", errno);
    state[9] = 1;
  }
  state[8] = 1;
  return result_int(env, count);
}

/* bpfProgramInfo(fd) → { id, runTimeNs, runCount }; the last two only count while kernel.bpf_stats_enabled is 1. */
static napi_value program_info(napi_env env, napi_callback_info info) {
  napi_value argv[1], result;
  int32_t fd;
  struct bpf_prog_info program = {};
  __u32 length = sizeof(program);
  if (!args(env, info, 1, argv) || !arg_int(env, argv[0], &fd)) return NULL;
  if (bpf_obj_get_info_by_fd(fd, &program, &length) != 0)
    return baton_throw_errno(env, "BPF_OBJ_GET_INFO_BY_FD", errno);
  NAPI_TRY(env, napi_create_object(env, &result));
  if (!set_number(env, result, "id", program.id) || !set_number(env, result, "runTimeNs", program.run_time_ns) ||
      !set_number(env, result, "runCount", program.run_cnt))
    return NULL;
  return result;
}

/* bpfProgramOfId(id) → fd; -1 if it is gone. */
static napi_value program_of_id(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  uint32_t id;
  if (!args(env, info, 1, argv) || !arg_uint(env, argv[0], &id)) return NULL;
  int fd = bpf_prog_get_fd_by_id(id);
  if (fd < 0 && errno != ENOENT) return baton_throw_errno(env, "BPF_PROG_GET_FD_BY_ID", errno);
  return result_int(env, fd < 0 ? -1 : fd);
}

/* bpfRun(program, frame, ifindex, repeat) → { verdict, durationNs }: BPF_PROG_TEST_RUN of a tc program; a redirect is
 * only returned, not done. */
static napi_value run(napi_env env, napi_callback_info info) {
  napi_value argv[4], result;
  int32_t fd;
  uint32_t ifindex, repeat;
  void *frame;
  size_t length;
  if (!args(env, info, 4, argv) || !arg_int(env, argv[0], &fd) || !arg_bytes(env, argv[1], &frame, &length) ||
      !arg_uint(env, argv[2], &ifindex) || !arg_uint(env, argv[3], &repeat))
    return NULL;
  struct __sk_buff context = {.ifindex = ifindex};
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = length, .ctx_in = &context,
              .ctx_size_in = sizeof(context), .repeat = repeat);
  if (bpf_prog_test_run_opts(fd, &options) != 0) return baton_throw_errno(env, "BPF_PROG_TEST_RUN", errno);
  NAPI_TRY(env, napi_create_object(env, &result));
  if (!set_number(env, result, "verdict", (int32_t)options.retval) ||
      !set_number(env, result, "durationNs", options.duration))
    return NULL;
  return result;
}

/* bpfStructure(object, name) → { size, offsets: { [member]: offset } } in bytes, from the object's BTF. */
static napi_value structure(napi_env env, napi_callback_info info) {
  napi_value argv[2], result, offsets;
  char path[4096], name[128];
  if (!args(env, info, 2, argv) || !arg_text(env, argv[0], path, sizeof(path)) ||
      !arg_text(env, argv[1], name, sizeof(name)))
    return NULL;
  if (napi_create_object(env, &result) != napi_ok || napi_create_object(env, &offsets) != napi_ok ||
      napi_set_named_property(env, result, "offsets", offsets) != napi_ok) {
    arg_failed(env, "bpfStructure");
    return NULL;
  }
  struct btf *btf = btf__parse(path, NULL);
  if (btf == NULL) return baton_throw_errno(env, "parse BTF", errno);
  int id = btf__find_by_name_kind(btf, name, BTF_KIND_STRUCT);
  if (id < 0) {
    btf__free(btf);
    return baton_throw_errno(env, "find structure", -id);
  }
  const struct btf_type *type = btf__type_by_id(btf, (__u32)id);
  bool good = set_number(env, result, "size", type->size);
  for (__u16 i = 0; good && i < btf_vlen(type); i++) {
    good = set_number(env, offsets, btf__name_by_offset(btf, btf_members(type)[i].name_off),
                      btf_member_bit_offset(type, i) / 8);
  }
  btf__free(btf);
  return good ? result : NULL;
}

bool baton_init_bpf(napi_env env, napi_value exports) {
  const baton_method methods[] = {
      {"bpfLoad", load},
      {"bpfPin", pin},
      {"bpfGet", get},
      {"bpfMapInfo", map_info},
      {"bpfLookup", lookup},
      {"bpfUpdate", update},
      {"bpfDelete", delete},
      {"bpfDeleteMatching", delete_matching},
      {"bpfScan", scan},
      {"bpfProgramInfo", program_info},
      {"bpfProgramOfId", program_of_id},
      {"bpfRun", run},
      {"bpfStructure", structure},
  };
  libbpf_set_print(collect_log);
  return baton_define(env, exports, methods, sizeof(methods) / sizeof(methods[0])) &&
         baton_init_attach(env, exports) && baton_init_cgroup(env, exports);
}
