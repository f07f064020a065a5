/* Time in softirq on each CPU: inside the processes named in `own` (it is in their CPU time already), and outside. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct account {
  __u64 since;
  __u64 outside_ns;
  __u64 inside_ns;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct account);
} accounts SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, __u32);
  __type(value, __u32);
} own SEC(".maps");

SEC("raw_tp/softirq_entry")
int entry(void *context) {
  __u32 zero = 0;
  struct account *account = bpf_map_lookup_elem(&accounts, &zero);
  if (account) account->since = bpf_ktime_get_ns();
  return 0;
}

SEC("raw_tp/softirq_exit")
int leave(void *context) {
  __u32 zero = 0, pid = bpf_get_current_pid_tgid() >> 32;
  struct account *account = bpf_map_lookup_elem(&accounts, &zero);
  if (!account || !account->since) return 0;
  __u64 ns = bpf_ktime_get_ns() - account->since;
  account->since = 0;
  if (bpf_map_lookup_elem(&own, &pid)) {
    account->inside_ns += ns;
  } else {
    account->outside_ns += ns;
  }
  return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
