/* Steering at the tc ingress of the frontend's interface. `steer` asks the flow table where each TCP segment, and each
 * ICMP error about one, belongs; `playback` sits at the ingress of the parking TAP and sends what the process writes
 * back where the table says by then. What is not in the table is left alone. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "steering.h"

#define AF_INET 2
#define AF_INET6 10
#define MAX_EXTENSION_HEADERS 6
/* What one CPU asks the process about: enough for a failover, little enough for an ACK flood. */
#define UNKNOWN_PER_SECOND 4096
/* Between playback and steer, within this host; nothing from the wire carries a mark. */
#define PLAYED_MARK 0xba700001
#define NS_PER_SECOND 1000000000ULL
/* How far beyond the frozen socket a proof may lie: what an owner sends before its adoption is known here, and what its
 * client does. Somebody who cannot see the connection hits both with one segment of 2^28. */
#define PROOF_ACK_BYTES (1 << 20)
#define PROOF_SEQUENCE_BYTES (1 << 16)
#define FRAGMENT_OFFSET 0x1fff
#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1 << 20);
  __type(key, struct flow_key);
  __type(value, struct flow_value);
} flows SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct settings);
} settings SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct totals);
} totals SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, struct listener);
  __type(value, __u32);
} listeners SEC(".maps");

/* How many frames of a flow were parked, until the process has played them all and says so by removing the number.
 * Apart from the flows, whose values the process writes whole. One that had to make room costs its flow the order of
 * some frames, and none of them. Not pinned: what waited ends with the process. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 1 << 14);
  __type(key, struct flow_key);
  __type(value, __u32);
} parked SEC(".maps");

/* What a frame says about its flow. */
struct packet {
  struct flow_key key;
  __u32 sequence;        /* these four of a TCP segment */
  __u32 acknowledgement;
  __u32 headers_bytes;   /* all in front of the payload */
  __u8 tcp_flags;        /* 0 for an ICMP error */
  bool icmp_error;
};

static __always_inline void mapped(__u8 *to, __be32 address) {
  __builtin_memset(to, 0, 10);
  to[10] = to[11] = 0xff;
  __builtin_memcpy(to + 12, &address, 4);
}

/* Ports of the TCP header at `offset`. The inner packet of an ICMP error was sent by the backend: its source is the
 * VIP, and only its first eight bytes are sure to be there. */
static __always_inline bool read_ports(struct __sk_buff *skb, __u32 offset, struct packet *packet, bool inner) {
  __be16 ports[2];
  if (inner) {
    if (bpf_skb_load_bytes(skb, offset, ports, sizeof(ports)) < 0) return false;
    packet->key.vip_port = ports[0];
    packet->key.client_port = ports[1];
    packet->icmp_error = true;
    return true;
  }
  struct {
    __be16 ports[2];
    __be32 sequence;
    __be32 acknowledgement;
    __u8 length; /* in its high half, of 4 bytes */
    __u8 flags;
  } header;
  if (bpf_skb_load_bytes(skb, offset, &header, 14) < 0) return false;
  packet->key.client_port = header.ports[0];
  packet->key.vip_port = header.ports[1];
  packet->sequence = bpf_ntohl(header.sequence);
  packet->acknowledgement = bpf_ntohl(header.acknowledgement);
  packet->headers_bytes = offset + (header.length >> 4) * 4;
  packet->tcp_flags = header.flags;
  return true;
}

/* Returns the protocol behind the header, and where it starts; -1 where there is nothing to steer by. */
static __always_inline int read_ipv4(struct __sk_buff *skb, __u32 *offset, struct packet *packet, bool inner) {
  struct iphdr ip;
  if (bpf_skb_load_bytes(skb, *offset, &ip, sizeof(ip)) < 0) return -1;
  if (ip.version != 4 || ip.ihl < 5) return -1;
  if (ip.frag_off & bpf_htons(FRAGMENT_OFFSET)) return -1;
  mapped(inner ? packet->key.vip : packet->key.client, ip.saddr);
  mapped(inner ? packet->key.client : packet->key.vip, ip.daddr);
  *offset += ip.ihl * 4;
  return ip.protocol;
}

static __always_inline int read_ipv6(struct __sk_buff *skb, __u32 *offset, struct packet *packet, bool inner) {
  struct ipv6hdr ip;
  if (bpf_skb_load_bytes(skb, *offset, &ip, sizeof(ip)) < 0) return -1;
  if (ip.version != 6) return -1;
  __builtin_memcpy(inner ? packet->key.vip : packet->key.client, &ip.saddr, 16);
  __builtin_memcpy(inner ? packet->key.client : packet->key.vip, &ip.daddr, 16);
  *offset += sizeof(ip);
  __u8 protocol = ip.nexthdr;
  for (int i = 0; i < MAX_EXTENSION_HEADERS; i++) {
    if (protocol != IPPROTO_HOPOPTS && protocol != IPPROTO_ROUTING && protocol != IPPROTO_DSTOPTS &&
        protocol != IPPROTO_FRAGMENT) {
      return protocol;
    }
    __u8 header[4];
    if (bpf_skb_load_bytes(skb, *offset, header, sizeof(header)) < 0) return -1;
    if (protocol == IPPROTO_FRAGMENT) {
      if (header[2] || (header[3] & 0xf8)) return -1; /* not the first fragment */
      *offset += 8;
    } else {
      *offset += (header[1] + 1) * 8;
    }
    protocol = header[0];
  }
  return -1;
}

static __always_inline bool is_icmp_error(__u8 type) {
  return type == 3 /* unreachable, fragmentation needed */ || type == 11 /* time exceeded */ ||
         type == 12 /* parameter problem */;
}

/* Unreachable, packet too big, time exceeded, parameter problem. */
static __always_inline bool is_icmpv6_error(__u8 type) { return type >= 1 && type <= 4; }

static __always_inline bool read_packet(struct __sk_buff *skb, struct packet *packet) {
  __u32 offset = ETH_HLEN;
  __u8 type;
  if (skb->protocol == bpf_htons(ETH_P_IP)) {
    int protocol = read_ipv4(skb, &offset, packet, false);
    if (protocol == IPPROTO_TCP) return read_ports(skb, offset, packet, false);
    if (protocol != IPPROTO_ICMP || bpf_skb_load_bytes(skb, offset, &type, 1) < 0 || !is_icmp_error(type)) return false;
    offset += 8;
    return read_ipv4(skb, &offset, packet, true) == IPPROTO_TCP && read_ports(skb, offset, packet, true);
  }
  if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
    int protocol = read_ipv6(skb, &offset, packet, false);
    if (protocol == IPPROTO_TCP) return read_ports(skb, offset, packet, false);
    if (protocol != IPPROTO_ICMPV6 || bpf_skb_load_bytes(skb, offset, &type, 1) < 0 || !is_icmpv6_error(type)) return false;
    offset += 8;
    return read_ipv6(skb, &offset, packet, true) == IPPROTO_TCP && read_ports(skb, offset, packet, true);
  }
  return false;
}

static __always_inline int send_to(struct flow_value *flow, struct settings *set) {
  struct bpf_redir_neigh hop = {.nh_family = flow->next_hop_family};
  if (flow->next_hop_family == AF_INET) {
    __builtin_memcpy(&hop.ipv4_nh, flow->next_hop + 12, 4);
  } else {
    __builtin_memcpy(hop.ipv6_nh, flow->next_hop, 16);
  }
  return bpf_redirect_neigh(flow->ifindex ? flow->ifindex : set->interface_ifindex, &hop, sizeof(hop), 0);
}

static __always_inline bool is_v4(struct packet *packet) {
  return *(__u64 *)packet->key.vip == 0 && *(__u32 *)(packet->key.vip + 8) == bpf_htonl(0xffff);
}

static __always_inline bool is_listener(struct packet *packet, bool v4) {
  struct listener own = {.port = packet->key.vip_port};
  __builtin_memcpy(own.address, packet->key.vip, 16);
  if (bpf_map_lookup_elem(&listeners, &own)) return true;
  if (v4) {
    __builtin_memset(own.address + 12, 0, 4);
  } else {
    __builtin_memset(own.address, 0, 16);
  }
  return bpf_map_lookup_elem(&listeners, &own);
}

/* The local stack's socket of this very flow, or else its listener. The caller releases it. */
static __always_inline struct bpf_sock *find_socket(struct __sk_buff *skb, struct packet *packet, bool v4) {
  struct bpf_sock_tuple tuple = {};
  if (v4) {
    __builtin_memcpy(&tuple.ipv4.saddr, packet->key.client + 12, 4);
    __builtin_memcpy(&tuple.ipv4.daddr, packet->key.vip + 12, 4);
    tuple.ipv4.sport = packet->key.client_port;
    tuple.ipv4.dport = packet->key.vip_port;
    return bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
  }
  __builtin_memcpy(tuple.ipv6.saddr, packet->key.client, 16);
  __builtin_memcpy(tuple.ipv6.daddr, packet->key.vip, 16);
  tuple.ipv6.sport = packet->key.client_port;
  tuple.ipv6.dport = packet->key.vip_port;
  return bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
}

/* Whether the local stack has a socket of this very flow: established, half open, in TIME_WAIT or frozen. */
static __always_inline bool is_local(struct __sk_buff *skb, struct packet *packet, bool v4) {
  struct bpf_sock *socket = find_socket(skb, packet, v4);
  if (!socket) return false;
  bool local = socket->state != BPF_TCP_LISTEN;
  bpf_sk_release(socket);
  return local;
}

/* Whether the client acknowledges what the socket frozen here never sent: then the one at the next hop has sent it, and
 * nothing here will be thawed. */
static __always_inline bool proves_adoption(struct __sk_buff *skb, struct packet *packet) {
  if ((packet->tcp_flags & (TCP_SYN | TCP_RST | TCP_ACK)) != TCP_ACK) return false;
  struct bpf_sock *socket = find_socket(skb, packet, is_v4(packet));
  if (!socket) return false;
  bool proof = false;
  if (socket->state == BPF_TCP_ESTABLISHED) {
    struct bpf_tcp_sock *frozen = bpf_tcp_sock(socket);
    proof = frozen && packet->acknowledgement - frozen->snd_nxt - 1 < PROOF_ACK_BYTES &&
            packet->sequence - frozen->rcv_nxt < PROOF_SEQUENCE_BYTES;
  }
  bpf_sk_release(socket);
  return proof;
}

/* A segment in mid-stream for a listener of ours, of a flow that neither the table nor the stack knows: another
 * frontend may. It waits in the process, which asks. A SYN begins a flow, and a RST is owed no answer. */
static __always_inline int unknown(struct __sk_buff *skb, struct packet *packet) {
  __u32 zero = 0;
  struct settings *set = bpf_map_lookup_elem(&settings, &zero);
  if (!set || !set->park_unknown || packet->icmp_error || packet->tcp_flags & (TCP_SYN | TCP_RST)) return TC_ACT_UNSPEC;
  bool v4 = is_v4(packet);
  if (!is_listener(packet, v4) || is_local(skb, packet, v4)) return TC_ACT_UNSPEC;
  struct totals *total = bpf_map_lookup_elem(&totals, &zero);
  if (!total) return TC_ACT_UNSPEC;
  __u64 second = bpf_ktime_get_ns() / NS_PER_SECOND;
  if (second != total->unknown_second) {
    total->unknown_second = second;
    total->unknown_in_second = 0;
  }
  if (++total->unknown_in_second > UNKNOWN_PER_SECOND) {
    total->unknown_dropped += 1; /* its sender sends it again */
    return TC_ACT_SHOT;
  }
  total->unknown_packets += 1;
  return bpf_redirect(set->tap_ifindex, 0);
}

/* To where the flow's owner is. TC_ACT_UNSPEC: that is the local stack. */
static __always_inline int forward(struct __sk_buff *skb, struct packet *packet, struct flow_value *flow,
                                   struct settings *set, struct totals *total) {
  if ((packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) {
    if (flow->state == FLOW_LINGER) {
      bpf_map_delete_elem(&flows, &packet->key);
      total->linger_syns += 1;
      return TC_ACT_UNSPEC;
    }
    /* The client uses its port again before the word of the end was here. It waits for that: at the backend nobody
     * listens, and a RST would be the client's answer. */
    if (flow->state == FLOW_STEER && flow->flags & FLOW_ENDING) return bpf_redirect(set->tap_ifindex, 0);
  }
  if (flow->state == FLOW_PASS || !flow->next_hop_family) return TC_ACT_UNSPEC;
  __u64 count = skb->gso_segs > 1 ? skb->gso_segs : 1;
  __sync_fetch_and_add(&flow->packets, count);
  __sync_fetch_and_add(&flow->bytes, (__u64)skb->len);
  flow->last_seen_ns = bpf_ktime_get_ns();
  if (packet->tcp_flags & (TCP_FIN | TCP_RST)) flow->flags |= FLOW_ENDING;
  total->steered_packets += count;
  total->steered_bytes += skb->len;
  if (packet->icmp_error) total->icmp_errors += 1;
  return send_to(flow, set);
}

/* Of a merged frame, those that come out of the TAP for it. */
static __always_inline __u32 frames_of(struct __sk_buff *skb, struct packet *packet) {
  if (skb->gso_segs) return skb->gso_segs;
  /* A host that hands merged frames to its guests leaves the counting to them. */
  if (!skb->gso_size || skb->len <= packet->headers_bytes) return 1;
  return (skb->len - packet->headers_bytes + skb->gso_size - 1) / skb->gso_size;
}

/* @param before how many frames of the flow were parked, if any were */
static __always_inline int park(struct __sk_buff *skb, struct packet *packet, struct flow_value *flow,
                                struct settings *set, struct totals *total, __u32 *before) {
  __u32 frames = frames_of(skb, packet);
  if (!before && bpf_map_update_elem(&parked, &packet->key, &frames, BPF_NOEXIST) < 0) {
    before = bpf_map_lookup_elem(&parked, &packet->key); /* another CPU was faster */
  }
  if (before) __sync_fetch_and_add(before, frames);
  flow->last_seen_ns = bpf_ktime_get_ns();
  total->parked_packets += frames;
  return bpf_redirect(set->tap_ifindex, 0);
}

SEC("tc")
int steer(struct __sk_buff *skb) {
  __u32 zero = 0;
  struct packet packet = {};
  if (skb->mark == PLAYED_MARK) {
    skb->mark = 0;
    return TC_ACT_UNSPEC;
  }
  /* Frames that a switch flooded to us are another host's; a VLAN is another interface's. */
  if (skb->pkt_type != PACKET_HOST || skb->vlan_present) return TC_ACT_UNSPEC;
  if (!read_packet(skb, &packet)) return TC_ACT_UNSPEC;
  struct flow_value *flow = bpf_map_lookup_elem(&flows, &packet.key);
  if (!flow) return unknown(skb, &packet);
  struct settings *set = bpf_map_lookup_elem(&settings, &zero);
  struct totals *total = bpf_map_lookup_elem(&totals, &zero);
  if (!set || !total) return TC_ACT_UNSPEC;
  if (flow->state == FLOW_PARK || flow->state == FLOW_PLAY) {
    __u32 *before = bpf_map_lookup_elem(&parked, &packet.key);
    if (before || flow->state == FLOW_PLAY || !flow->next_hop_family || !proves_adoption(skb, &packet)) {
      return park(skb, &packet, flow, set, total, before);
    }
    flow->state = FLOW_STEER;
    total->proven_flows += 1;
  } else if (flow->flags & FLOW_GATED) {
    __u32 *before = bpf_map_lookup_elem(&parked, &packet.key);
    if (before && *before != flow->played) return park(skb, &packet, flow, set, total, before);
    flow->flags &= ~FLOW_GATED;
  }
  return forward(skb, &packet, flow, set, total);
}

/* What is steered leaves from here, before write() returns; the rest comes in again at the interface, marked so that
 * the local stack gets it whatever the table says. */
SEC("tc")
int playback(struct __sk_buff *skb) {
  __u32 zero = 0;
  struct packet packet = {};
  struct settings *set = bpf_map_lookup_elem(&settings, &zero);
  struct totals *total = bpf_map_lookup_elem(&totals, &zero);
  if (!set || !total || !read_packet(skb, &packet)) return TC_ACT_SHOT;
  struct flow_value *flow = bpf_map_lookup_elem(&flows, &packet.key);
  if (flow) {
    if (flow->state == FLOW_PARK) return TC_ACT_SHOT;
    int verdict = forward(skb, &packet, flow, set, total);
    if (verdict != TC_ACT_UNSPEC) return verdict;
  }
  skb->mark = PLAYED_MARK;
  return bpf_redirect(set->interface_ifindex, BPF_F_INGRESS);
}

char _license[] SEC("license") = "Dual MIT/GPL";
