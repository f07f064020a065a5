/* Adopting connections into the listening socket of a program that knows nothing of it. `adopt` sits at the ingress of
 * the agent's own TAP: the first segment of an expected flow becomes a child of the program's listener
 * (bpf_sk_assign_tcp_reqsk, Linux >= 6.8); nothing else gets in there but what follows it. `ends` hangs at a cgroup and
 * notes a child's birth and end. `progress` and `claim` are run by the process itself. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "adopt.h"

#define AF_INET 2
#define AF_INET6 10
/* enum sock_flags, include/net/sock.h: the peer's FIN came. */
#define SOCK_DONE 1
/* What `progress` returns for a flow without a socket. */
#define NO_SOCKET 0x7fffffff

struct sock_common {
  unsigned long skc_flags;
} __attribute__((preserve_access_index));

struct sock {
  struct sock_common __sk_common;
  int sk_err;
} __attribute__((preserve_access_index));

extern int bpf_sk_assign_tcp_reqsk(struct __sk_buff *skb, struct sock *sk, struct bpf_tcp_req_attrs *attrs,
                                   int attrs__sz) __ksym;

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1 << 18);
  __type(key, struct flow_key);
  __type(value, struct adoption);
} adoptions SEC(".maps");

/* Only wakes the process: what it is told stands in `adoptions`, and is still there where this is full. */
struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 18);
} endings SEC(".maps");

static __always_inline void mapped(__u8 *to, __be32 address) {
  __builtin_memset(to, 0, 10);
  to[10] = to[11] = 0xff;
  __builtin_memcpy(to + 12, &address, 4);
}

/* The process writes these frames itself: no options, no extension headers. */
static __always_inline bool read_segment(struct __sk_buff *skb, struct flow_key *key, struct tcphdr *tcp, bool *v4) {
  __u32 offset = ETH_HLEN;
  if (skb->protocol == bpf_htons(ETH_P_IP)) {
    struct iphdr ip;
    if (bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)) < 0 || ip.ihl != 5 || ip.protocol != IPPROTO_TCP) return false;
    mapped(key->client, ip.saddr);
    mapped(key->vip, ip.daddr);
    offset += sizeof(ip);
    *v4 = true;
  } else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
    struct ipv6hdr ip;
    if (bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)) < 0 || ip.nexthdr != IPPROTO_TCP) return false;
    __builtin_memcpy(key->client, &ip.saddr, 16);
    __builtin_memcpy(key->vip, &ip.daddr, 16);
    offset += sizeof(ip);
    *v4 = false;
  } else {
    return false;
  }
  if (bpf_skb_load_bytes(skb, offset, tcp, sizeof(*tcp)) < 0) return false;
  key->client_port = tcp->source;
  key->vip_port = tcp->dest;
  return true;
}

static __always_inline struct bpf_sock *lookup(struct __sk_buff *skb, struct flow_key *key, const __u8 *address,
                                               __be16 port, bool v4) {
  struct bpf_sock_tuple tuple = {};
  if (v4) {
    __builtin_memcpy(&tuple.ipv4.saddr, key->client + 12, 4);
    __builtin_memcpy(&tuple.ipv4.daddr, address + 12, 4);
    tuple.ipv4.sport = key->client_port;
    tuple.ipv4.dport = port;
    return bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
  }
  __builtin_memcpy(tuple.ipv6.saddr, key->client, 16);
  __builtin_memcpy(tuple.ipv6.daddr, address, 16);
  tuple.ipv6.sport = key->client_port;
  tuple.ipv6.dport = port;
  return bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
}

/* What speaks against a child beside what this host has of the very flow: they would meet in the hash table. */
static __always_inline int held_by(struct __sk_buff *skb, struct flow_key *key, bool v4) {
  struct bpf_sock *socket = lookup(skb, key, key->vip, key->vip_port, v4);
  if (!socket) return 0;
  int failure = ADOPT_IN_USE;
  if (socket->state == BPF_TCP_LISTEN) failure = 0;
  if (socket->state == BPF_TCP_TIME_WAIT) failure = ADOPT_TIME_WAIT;
  bpf_sk_release(socket);
  return failure;
}

static __always_inline int assign(struct __sk_buff *skb, struct flow_key *key, struct adoption *adoption, bool v4) {
  struct bpf_tcp_req_attrs attrs = adoption->attrs;
  struct bpf_sock *found = lookup(skb, key, adoption->listener, adoption->listener_port, v4);
  if (!found) return ADOPT_NO_LISTENER;
  int failure = ADOPT_NO_LISTENER;
  if (found->state == BPF_TCP_LISTEN) {
    struct sock *listener = (struct sock *)bpf_skc_to_tcp_sock(found);
    if (listener) failure = -bpf_sk_assign_tcp_reqsk(skb, listener, &attrs, sizeof(attrs));
  }
  bpf_sk_release(found);
  return failure;
}

SEC("tc")
int adopt(struct __sk_buff *skb) {
  struct flow_key key = {};
  struct tcphdr tcp;
  bool v4;
  if (!read_segment(skb, &key, &tcp, &v4)) return TC_ACT_SHOT;
  struct adoption *adoption = bpf_map_lookup_elem(&adoptions, &key);
  if (!adoption) return TC_ACT_SHOT;
  /* Whatever address the frame has: the device is ours alone. */
  bpf_skb_change_type(skb, PACKET_HOST);
  if (adoption->state == ADOPT_BORN) return TC_ACT_OK;
  if (adoption->state != ADOPT_EXPECTED || bpf_ntohl(tcp.seq) != adoption->seq ||
      bpf_ntohl(tcp.ack_seq) != adoption->ack || tcp.syn || tcp.rst || tcp.fin || !tcp.ack)
    return TC_ACT_SHOT;
  int failure = held_by(skb, &key, v4);
  if (!failure) failure = assign(skb, &key, adoption, v4);
  if (failure) {
    adoption->failure = failure;
    return TC_ACT_SHOT;
  }
  adoption->state = ADOPT_TRIED;
  return TC_ACT_OK;
}

/* Run by BPF_PROG_TEST_RUN on a frame of the flow: how many of the bytes from `seq` on its socket has taken. */
SEC("tc")
int progress(struct __sk_buff *skb) {
  struct flow_key key = {};
  struct tcphdr tcp;
  bool v4;
  int taken = NO_SOCKET;
  if (!read_segment(skb, &key, &tcp, &v4)) return taken;
  struct bpf_sock *found = lookup(skb, &key, key.vip, key.vip_port, v4);
  if (!found) return taken;
  struct bpf_tcp_sock *socket = bpf_tcp_sock(found);
  if (socket && found->state != BPF_TCP_LISTEN) taken = (int)(socket->rcv_nxt - bpf_ntohl(tcp.seq));
  bpf_sk_release(found);
  return taken;
}

/* Run on a frame of the flow that carries the length of a frontend's id, and the id: that one is told of the end from now
 * on. Done here, and not by writing the whole entry anew, because `ends` may be writing to it at this moment. Returns 1
 * where there is an entry. */
SEC("tc")
int claim(struct __sk_buff *skb) {
  struct flow_key key = {};
  struct tcphdr tcp;
  bool v4;
  if (!read_segment(skb, &key, &tcp, &v4)) return 0;
  struct adoption *adoption = bpf_map_lookup_elem(&adoptions, &key);
  if (!adoption) return 0;
  __u32 offset = ETH_HLEN + (v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr)) + sizeof(tcp);
  if (bpf_skb_load_bytes(skb, offset, &adoption->frontend_length, 1) < 0) return 0;
  return bpf_skb_load_bytes(skb, offset + 1, adoption->frontend, ADOPT_FRONTEND_BYTES) == 0;
}

static __always_inline void flow_of(struct bpf_sock_ops *ops, struct flow_key *key) {
  key->client_port = (__be16)(ops->remote_port >> 16); /* network order, in the upper half */
  key->vip_port = bpf_htons((__u16)ops->local_port);
  /* A v4 client of an AF_INET6 socket stands here with mapped addresses, as in the key. */
  if (ops->family == AF_INET) {
    mapped(key->client, ops->remote_ip4);
    mapped(key->vip, ops->local_ip4);
    return;
  }
  __u32 *client = (__u32 *)key->client, *vip = (__u32 *)key->vip;
  client[0] = ops->remote_ip6[0];
  client[1] = ops->remote_ip6[1];
  client[2] = ops->remote_ip6[2];
  client[3] = ops->remote_ip6[3];
  vip[0] = ops->local_ip6[0];
  vip[1] = ops->local_ip6[1];
  vip[2] = ops->local_ip6[2];
  vip[3] = ops->local_ip6[3];
}

static __always_inline void ended(struct bpf_sock_ops *ops, struct flow_key *key, struct adoption *adoption, __u32 from) {
  bool client_fin = from == BPF_TCP_CLOSE_WAIT || from == BPF_TCP_LAST_ACK || from == BPF_TCP_CLOSING;
  struct bpf_sock *own = ops->sk;
  if (own) {
    struct sock *socket = (struct sock *)bpf_skc_to_tcp_sock(own);
    if (socket) {
      if (socket->__sk_common.skc_flags & (1UL << SOCK_DONE)) client_fin = true;
      adoption->error = socket->sk_err;
    }
  }
  bool own_fin = from == BPF_TCP_FIN_WAIT2 || from == BPF_TCP_CLOSING || from == BPF_TCP_LAST_ACK;
  /* A FIN counts as a byte. */
  adoption->bytes_in = ops->bytes_received - (client_fin && ops->bytes_received ? 1 : 0);
  adoption->bytes_out = ops->bytes_acked - (own_fin && ops->bytes_acked ? 1 : 0);
  adoption->ended_ns = bpf_ktime_get_ns();
  adoption->state = ADOPT_ENDED;
  bpf_ringbuf_output(&endings, key, sizeof(*key), 0);
}

SEC("sockops")
int ends(struct bpf_sock_ops *ops) {
  if (ops->op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB && ops->op != BPF_SOCK_OPS_STATE_CB) return 1;
  struct flow_key key = {};
  flow_of(ops, &key);
  struct adoption *adoption = bpf_map_lookup_elem(&adoptions, &key);
  if (!adoption) return 1;
  if (ops->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB) {
    if (adoption->state != ADOPT_TRIED) return 1;
    adoption->cookie = bpf_get_socket_cookie(ops);
    adoption->born_ns = bpf_ktime_get_ns();
    adoption->state = ADOPT_BORN;
    bpf_sock_ops_cb_flags_set(ops, BPF_SOCK_OPS_STATE_CB_FLAG);
    return 1;
  }
  /* The cookie is one of all namespaces: another socket of the same addresses elsewhere is not ours. */
  if (adoption->state != ADOPT_BORN || adoption->cookie != bpf_get_socket_cookie(ops)) return 1;
  if (ops->args[1] == BPF_TCP_CLOSE_WAIT) adoption->flags |= ADOPT_CLIENT_FIRST;
  if (ops->args[1] == BPF_TCP_CLOSE) ended(ops, &key, adoption, ops->args[0]);
  return 1;
}

char _license[] SEC("license") = "Dual MIT/GPL";
