/* How many entries the flow table has: the kernel keeps the number (since 6.6) and tells only programs. Run by the
 * process itself (BPF_PROG_TEST_RUN), never by a packet. Where it does not load, the table is read through instead. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "steering.h"

/* The kernel's own structure, of which nothing is read here. */
struct bpf_map {
  int unused;
} __attribute__((preserve_access_index));

extern __s64 bpf_map_sum_elem_count(const struct bpf_map *map) __ksym;

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1 << 20);
  __type(key, struct flow_key);
  __type(value, struct flow_value);
} flows SEC(".maps");

SEC("tc")
int count(struct __sk_buff *skb) { return (int)bpf_map_sum_elem_count((const struct bpf_map *)&flows); }

char _license[] SEC("license") = "Dual MIT/GPL";
