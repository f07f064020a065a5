/* Programs at a cgroup, and the ring buffers that programs write to. */
#include "args.h"
#include "attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* cgroupAttach(program, path) → fd of the link: a sockops program at a cgroup of the unified hierarchy. */
static napi_value cgroup_attach(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  int32_t program;
  char path[4096];
  if (!args(env, info, 2, argv) || !arg_int(env, argv[0], &program) || !arg_text(env, argv[1], path, sizeof(path)))
    return NULL;
  int cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (cgroup < 0) return baton_throw_errno(env, "open cgroup", errno);
  int link = bpf_link_create(program, cgroup, BPF_CGROUP_SOCK_OPS, NULL);
  int err = errno;
  close(cgroup);
  if (link < 0) return baton_throw_errno(env, "BPF_LINK_CREATE", err);
  return result_int(env, link);
}

/* A ring buffer and where its records are copied to during one call of ringRead. */
struct ring {
  struct ring_buffer *buffer;
  char *to;
  size_t record, room, count;
};

static int copy(void *context, void *data, size_t size) {
  struct ring *ring = context;
  if (size == ring->record) memcpy(ring->to + ring->count++ * ring->record, data, size);
  /* What is returned stops the reading behind this record. */
  return ring->count < ring->room ? 0 : -ENOSPC;
}

static void free_ring(napi_env env, void *data, void *hint) {
  struct ring *ring = data;
  ring_buffer__free(ring->buffer);
  free(ring);
}

/* ringOpen(map) → the ring as an opaque value, freed with it. */
static napi_value ring_open(napi_env env, napi_callback_info info) {
  napi_value argv[1], result;
  int32_t map;
  if (!args(env, info, 1, argv) || !arg_int(env, argv[0], &map)) return NULL;
  struct ring *ring = calloc(1, sizeof(*ring));
  if (ring == NULL) return baton_throw_errno(env, "open ring buffer", ENOMEM);
  ring->buffer = ring_buffer__new(map, copy, ring, NULL);
  if (ring->buffer == NULL) {
    int err = errno;
    free(ring);
    return baton_throw_errno(env, "open ring buffer", err);
  }
  if (napi_create_external(env, ring, free_ring, NULL, &result) != napi_ok) {
    free_ring(env, ring, NULL);
    arg_failed(env, "ringOpen");
    return NULL;
  }
  return result;
}

static bool arg_ring(napi_env env, napi_value value, struct ring **ring) {
  napi_valuetype type;
  if (napi_typeof(env, value, &type) == napi_ok && type == napi_external &&
      napi_get_value_external(env, value, (void **)ring) == napi_ok)
    return true;
  return arg_failed(env, "a ring is expected");
}

/* ringRead(ring, buffer, recordBytes) → how many records of that size were copied, one after the other; others are
 * left out. Stops when the buffer is full. */
static napi_value ring_read(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  struct ring *ring;
  void *to;
  size_t length;
  uint32_t record;
  if (!args(env, info, 3, argv) || !arg_ring(env, argv[0], &ring) || !arg_bytes(env, argv[1], &to, &length) ||
      !arg_uint(env, argv[2], &record))
    return NULL;
  if (record == 0 || length < record) return baton_throw_errno(env, "read ring buffer", EINVAL);
  ring->to = to;
  ring->record = record;
  ring->room = length / record;
  ring->count = 0;
  int rc = ring_buffer__consume(ring->buffer);
  if (rc < 0 && rc != -ENOSPC) return baton_throw_errno(env, "read ring buffer", -rc);
  return result_int(env, (int64_t)ring->count);
}

bool baton_init_cgroup(napi_env env, napi_value exports) {
  const baton_method methods[] = {
      {"cgroupAttach", cgroup_attach},
      {"ringOpen", ring_open},
      {"ringRead", ring_read},
  };
  return baton_define(env, exports, methods, sizeof(methods) / sizeof(methods[0]));
}
