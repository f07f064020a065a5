/* Adopting connections into the listening socket of a program that knows nothing of it. `adopt` sits at the ingress of
 * the agent's own TAP: the first segment of the flow on offer becomes a child of the program's listener
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

struct netns_ipv4 {
  __u8 sysctl_tcp_syncookies;
} __attribute__((preserve_access_index));

struct net {
  struct netns_ipv4 ipv4;
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

extern void *bpf_cast_to_kern_ctx(void *context) __ksym;
extern int bpf_sk_assign_tcp_reqsk(struct __sk_buff *skb, struct sock *sk, struct bpf_tcp_req_attrs *attrs,
                                   int attrs__sz) __ksym;

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1 << 18);
  __type(key, struct flow_key);
  __type(value, struct adoption);
} adoptions SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct offer);
} offers SEC(".maps");

/* What the process is told stands in `adoptions` too, and is still there where this is full. */
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

/* Without them the listener would answer what is played in with RST, which the client would get. */
static __always_inline bool has_cookies(struct __sk_buff *skb) {
  struct sk_buff *own = bpf_cast_to_kern_ctx(skb);
  return BPF_CORE_READ(own, dev, nd_net.net, ipv4.sysctl_tcp_syncookies) != 0;
}

static __always_inline bool same(const struct flow_key *one, const struct flow_key *other) {
  const __u32 *a = (const __u32 *)one, *b = (const __u32 *)other;
  __u32 differ = 0;
  for (unsigned int i = 0; i < sizeof(*one) / sizeof(*a); i++) differ |= a[i] ^ b[i];
  return differ == 0;
}

/* The offer that the process has in hand, if it is this flow's. */
static __always_inline struct adoption *offered(const struct flow_key *key, __u32 state) {
  __u32 only = 0;
  struct offer *offer = bpf_map_lookup_elem(&offers, &only);
  return offer && offer->adoption.state == state && same(&offer->flow, key) ? &offer->adoption : NULL;
}

/* It stands in the books before a child can be born of it, so that no end of the process hides a birth. */
static __always_inline int try(struct __sk_buff *skb, struct flow_key *key, struct adoption *offer, bool v4) {
  if (!has_cookies(skb)) return ADOPT_NO_COOKIES;
  int failure = held_by(skb, key, v4);
  if (failure) return failure;
  offer->state = ADOPT_TRIED;
  if (bpf_map_update_elem(&adoptions, key, offer, BPF_ANY) < 0) return ADOPT_FULL;
  failure = assign(skb, key, offer, v4);
  if (failure) bpf_map_delete_elem(&adoptions, key);
  return failure;
}

SEC("tc")
int adopt(struct __sk_buff *skb) {
  struct flow_key key = {};
  struct tcphdr tcp;
  bool v4;
  if (!read_segment(skb, &key, &tcp, &v4)) return TC_ACT_SHOT;
  /* Whatever address the frame has: the device is ours alone. */
  bpf_skb_change_type(skb, PACKET_HOST);
  struct adoption *offer = offered(&key, ADOPT_EXPECTED);
  if (!offer) {
    struct adoption *adoption = bpf_map_lookup_elem(&adoptions, &key);
    return adoption && adoption->state == ADOPT_BORN ? TC_ACT_OK : TC_ACT_SHOT;
  }
  if (bpf_ntohl(tcp.seq) != offer->seq || bpf_ntohl(tcp.ack_seq) != offer->ack || tcp.syn || tcp.rst || tcp.fin ||
      !tcp.ack)
    return TC_ACT_SHOT;
  int failure = try(skb, &key, offer, v4);
  if (!failure) return TC_ACT_OK;
  offer->failure = failure;
  offer->state = ADOPT_EXPECTED;
  return TC_ACT_SHOT;
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

/* Its own function, so that the object's BTF has the structure. */
static __attribute__((noinline)) long tell(struct ending *ending) {
  __u32 only = 0;
  if (bpf_ringbuf_output(&endings, ending, sizeof(*ending), 0) == 0) return 0;
  struct offer *offer = bpf_map_lookup_elem(&offers, &only);
  if (offer) __sync_fetch_and_add(&offer->missed, 1);
  return -1;
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
  struct ending ending = {.flow = *key,
                          .by_client = adoption->flags & ADOPT_CLIENT_FIRST || adoption->error,
                          .id = adoption->id,
                          .bytes_in = adoption->bytes_in,
                          .bytes_out = adoption->bytes_out,
                          .lived_ns = adoption->ended_ns - adoption->born_ns};
  tell(&ending);
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
    struct adoption *offer = offered(&key, ADOPT_TRIED);
    if (offer) offer->state = ADOPT_BORN;
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
