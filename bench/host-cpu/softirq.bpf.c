/* Whose softirq work it is: nanoseconds of packets by network namespace, and of all softirq by the process that it happened
 * to interrupt. A received packet's time goes from its own netif_receive_skb to the next one's, or to the softirq's end;
 * that of a packet which a timer or TCP's deferred sending sends, from the one before to the end of net_dev_xmit. */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* Of the kernel's own structures, what is read here (CO-RE finds the places). */
struct ns_common {
  unsigned int inum;
} __attribute__((preserve_access_index));
struct net {
  struct ns_common ns;
} __attribute__((preserve_access_index));
typedef struct {
  struct net *net;
} possible_net_t;
struct net_device {
  possible_net_t nd_net;
} __attribute__((preserve_access_index));
struct sk_buff {
  struct net_device *dev;
} __attribute__((preserve_access_index));

struct begun {
  __u64 softirq; /* 0 outside */
  __u64 packet;  /* the one being received; 0 if there is none */
  __u64 sent;    /* the last one sent, or the beginning */
  __u32 net;     /* of the one being received */
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct begun);
} begun SEC(".maps");

/* By the inode of the namespace. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, __u32);
  __type(value, __u64);
} by_net SEC(".maps");

/* By the thread group that was current; 0 is the idle task. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 8192);
  __type(key, __u32);
  __type(value, __u64);
} by_process SEC(".maps");

static __always_inline struct begun *mine(void) {
  __u32 zero = 0;
  return bpf_map_lookup_elem(&begun, &zero);
}

static __always_inline void add(void *map, __u32 key, __u64 nanoseconds) {
  __u64 *sum = bpf_map_lookup_elem(map, &key);
  if (sum)
    __sync_fetch_and_add(sum, nanoseconds);
  else
    bpf_map_update_elem(map, &key, &nanoseconds, BPF_NOEXIST);
}

SEC("tp_btf/softirq_entry")
int BPF_PROG(softirq_begin, unsigned int vector) {
  struct begun *at = mine();
  if (at) at->softirq = at->sent = bpf_ktime_get_ns();
  return 0;
}

/* In a process's own time (it writes to a TAP) a packet is the process's. */
SEC("tp_btf/netif_receive_skb")
int BPF_PROG(receive, struct sk_buff *skb) {
  struct begun *at = mine();
  if (!at || at->softirq == 0) return 0;
  __u64 now = bpf_ktime_get_ns();
  if (at->packet) add(&by_net, at->net, now - at->packet);
  at->packet = now;
  at->net = skb->dev->nd_net.net->ns.inum;
  return 0;
}

/* What a received packet sets off is the received one's. */
SEC("tp_btf/net_dev_xmit")
int BPF_PROG(sent, struct sk_buff *skb, int result, struct net_device *device) {
  struct begun *at = mine();
  if (!at || at->softirq == 0 || at->packet) return 0;
  __u64 now = bpf_ktime_get_ns();
  add(&by_net, device->nd_net.net->ns.inum, now - at->sent);
  at->sent = now;
  return 0;
}

SEC("tp_btf/softirq_exit")
int BPF_PROG(softirq_end, unsigned int vector) {
  struct begun *at = mine();
  if (!at || at->softirq == 0) return 0;
  __u64 now = bpf_ktime_get_ns();
  if (at->packet) add(&by_net, at->net, now - at->packet);
  add(&by_process, bpf_get_current_pid_tgid() >> 32, now - at->softirq);
  at->softirq = at->packet = 0;
  return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
