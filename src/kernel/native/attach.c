/* Where a tc program hangs: TCX links (raw bpf(2), since the library may be older than TCX) and the clsact qdisc. Also
 * the mount of bpffs, and the lock that tells a second process. */
#include "args.h"
#include "attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TCX_INGRESS 46 /* BPF_TCX_INGRESS, since 6.6 */

static int bpf_call(int command, union bpf_attr *attr) { return (int)syscall(SYS_bpf, command, attr, sizeof(*attr)); }

/* tcxCreate(program, ifindex) → fd of the link. EINVAL: this kernel has no TCX. */
static napi_value tcx_create(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  uint32_t program, ifindex;
  union bpf_attr attr;
  if (!args(env, info, 2, argv) || !arg_uint(env, argv[0], &program) || !arg_uint(env, argv[1], &ifindex)) return NULL;
  memset(&attr, 0, sizeof(attr));
  attr.link_create.prog_fd = program;
  attr.link_create.target_ifindex = ifindex;
  attr.link_create.attach_type = TCX_INGRESS;
  int fd = bpf_call(BPF_LINK_CREATE, &attr);
  if (fd < 0) return baton_throw_errno(env, "BPF_LINK_CREATE", errno);
  return result_int(env, fd);
}

/* linkUpdate(link, program): the link runs another program from the next packet on. */
static napi_value link_update(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  uint32_t link, program;
  union bpf_attr attr;
  if (!args(env, info, 2, argv) || !arg_uint(env, argv[0], &link) || !arg_uint(env, argv[1], &program)) return NULL;
  memset(&attr, 0, sizeof(attr));
  attr.link_update.link_fd = link;
  attr.link_update.new_prog_fd = program;
  if (bpf_call(BPF_LINK_UPDATE, &attr) != 0) return baton_throw_errno(env, "BPF_LINK_UPDATE", errno);
  return NULL;
}

static napi_value link_detach(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  uint32_t link;
  union bpf_attr attr;
  if (!args(env, info, 1, argv) || !arg_uint(env, argv[0], &link)) return NULL;
  memset(&attr, 0, sizeof(attr));
  attr.link_detach.link_fd = link;
  if (bpf_call(BPF_LINK_DETACH, &attr) != 0) return baton_throw_errno(env, "BPF_LINK_DETACH", errno);
  return NULL;
}

/* linkInfo(fd) → { ifindex, programId } of a TCX link; ifindex 0: the interface is gone. */
static napi_value link_info(napi_env env, napi_callback_info info) {
  napi_value argv[1], result;
  int32_t fd;
  struct bpf_link_info link = {};
  __u32 length = sizeof(link);
  if (!args(env, info, 1, argv) || !arg_int(env, argv[0], &fd)) return NULL;
  if (bpf_obj_get_info_by_fd(fd, &link, &length) != 0)
    return baton_throw_errno(env, "BPF_OBJ_GET_INFO_BY_FD", errno);
  NAPI_TRY(env, napi_create_object(env, &result));
  /* tcx.ifindex lies where xdp.ifindex does. */
  if (!set_number(env, result, "ifindex", link.xdp.ifindex) || !set_number(env, result, "programId", link.prog_id))
    return NULL;
  return result;
}

/* clsactCreate(ifindex) → whether the qdisc was made now; false: it was there. */
static napi_value clsact_create(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int32_t ifindex;
  if (!args(env, info, 1, argv) || !arg_int(env, argv[0], &ifindex)) return NULL;
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
  int rc = bpf_tc_hook_create(&hook);
  if (rc != 0 && rc != -EEXIST) return baton_throw_errno(env, "create clsact qdisc", -rc);
  return result_bool(env, rc == 0);
}

/* clsactDestroy(ifindex): the qdisc with every filter on it. */
static napi_value clsact_destroy(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int32_t ifindex;
  if (!args(env, info, 1, argv) || !arg_int(env, argv[0], &ifindex)) return NULL;
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
  int rc = bpf_tc_hook_destroy(&hook);
  if (rc != 0) return baton_throw_errno(env, "remove clsact qdisc", -rc);
  return NULL;
}

/* clsactAttach(ifindex, program, handle, priority): in the place of what has the same handle and priority. */
static napi_value clsact_attach(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  int32_t ifindex, program;
  uint32_t handle, priority;
  if (!args(env, info, 4, argv) || !arg_int(env, argv[0], &ifindex) || !arg_int(env, argv[1], &program) ||
      !arg_uint(env, argv[2], &handle) || !arg_uint(env, argv[3], &priority))
    return NULL;
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
  LIBBPF_OPTS(bpf_tc_opts, filter, .prog_fd = program, .handle = handle, .priority = priority,
              .flags = BPF_TC_F_REPLACE);
  int rc = bpf_tc_attach(&hook, &filter);
  if (rc != 0) return baton_throw_errno(env, "attach clsact filter", -rc);
  return NULL;
}

/* clsactDetach(ifindex, handle, priority) → whether the filter was there. */
static napi_value clsact_detach(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  int32_t ifindex;
  uint32_t handle, priority;
  if (!args(env, info, 3, argv) || !arg_int(env, argv[0], &ifindex) || !arg_uint(env, argv[1], &handle) ||
      !arg_uint(env, argv[2], &priority))
    return NULL;
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
  LIBBPF_OPTS(bpf_tc_opts, filter, .handle = handle, .priority = priority);
  int rc = bpf_tc_detach(&hook, &filter);
  if (rc != 0 && rc != -ENOENT && rc != -EINVAL) return baton_throw_errno(env, "detach clsact filter", -rc);
  return result_bool(env, rc == 0);
}

/* ifIndex(name) → in the thread's network namespace; 0: no such interface. */
static napi_value if_index(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  char name[4096];
  if (!args(env, info, 1, argv) || !arg_text(env, argv[0], name, sizeof(name))) return NULL;
  return result_int(env, strlen(name) < IFNAMSIZ ? if_nametoindex(name) : 0);
}

static napi_value mount_bpffs(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  char path[4096];
  if (!args(env, info, 1, argv) || !arg_text(env, argv[0], path, sizeof(path))) return NULL;
  if (mount("bpf", path, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
    return baton_throw_errno(env, "mount bpffs", errno);
  return NULL;
}

/* lockDirectory(path) → fd that holds the lock until it is closed; -1: somebody else holds it. */
static napi_value lock_directory(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  char path[4096];
  if (!args(env, info, 1, argv) || !arg_text(env, argv[0], path, sizeof(path))) return NULL;
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return baton_throw_errno(env, "open directory", errno);
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return result_int(env, fd);
  int err = errno;
  close(fd);
  if (err == EWOULDBLOCK) return result_int(env, -1);
  return baton_throw_errno(env, "flock", err);
}

bool baton_init_attach(napi_env env, napi_value exports) {
  const baton_method methods[] = {
      {"tcxCreate", tcx_create},
      {"linkUpdate", link_update},
      {"linkDetach", link_detach},
      {"linkInfo", link_info},
      {"clsactCreate", clsact_create},
      {"clsactDestroy", clsact_destroy},
      {"clsactAttach", clsact_attach},
      {"clsactDetach", clsact_detach},
      {"ifIndex", if_index},
      {"mountBpffs", mount_bpffs},
      {"lockDirectory", lock_directory},
  };
  return baton_define(env, exports, methods, sizeof(methods) / sizeof(methods[0]));
}
