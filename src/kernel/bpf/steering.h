/* What the steering program and its process share. src/steering/layout.ts states the same offsets in TypeScript, and
 * test/steering/layout.test.ts compares the two by the compiled object's BTF. Network order in keys, host order else. */
#ifndef BATON_STEERING_H
#define BATON_STEERING_H

#include <linux/types.h>

#define BATON_LAYOUT_VERSION 4

/* src/kernel/flow.ts draws it: IPv4 as ::ffff:a.b.c.d. */
struct flow_key {
  __u8 client[16];
  __u8 vip[16];
  __be16 client_port;
  __be16 vip_port;
};

enum flow_state {
  FLOW_PARK = 1,   /* to the TAP: frozen, or on its way to another host; until the client proves that it has arrived */
  FLOW_STEER = 2,  /* to next_hop: another host owns the connection */
  FLOW_LINGER = 3, /* as STEER, but over: a SYN ends the entry */
  FLOW_PASS = 4,   /* to the local stack, though the program would rather ask */
  FLOW_PLAY = 5,   /* what comes is parked; what is played back goes on: to next_hop, or without one to the stack */
};

/* The client has sent its FIN or RST: a SYN of this flow begins its next connection. */
#define FLOW_ENDING 1
/* Frames that were parked may still be on their way. It stays parked until `played` is what was parked. */
#define FLOW_GATED 2

struct flow_value {
  __u32 state;
  __u32 ifindex;         /* egress; 0: the interface of the settings */
  __u64 id;              /* the handoff's */
  __u8 next_hop[16];     /* IPv4 as ::ffff:a.b.c.d */
  __u16 next_hop_family; /* AF_INET, AF_INET6, or 0 where there is none */
  __u16 flags;           /* FLOW_ENDING, FLOW_GATED */
  __u32 played;          /* of the parked frames, those that have left the process again */
  __u64 packets;      /* steered since the entry was written */
  __u64 bytes;        /* of their frames */
  __u64 last_seen_ns; /* CLOCK_MONOTONIC of the last packet, 0: none yet */
};

struct settings {
  __u32 version;     /* BATON_LAYOUT_VERSION */
  __u32 tap_ifindex; /* where parked frames go; 0 or gone: they are dropped */
  __u32 interface_ifindex;
  __u32 attach;      /* the process's own note: 1 TCX, 2 clsact */
  __u32 owns_qdisc;  /* the process's own note: 1 if it made the clsact qdisc */
  __u32 park_unknown; /* 1: a mid-stream segment to a listener that nobody knows is parked */
};

/* One of them a CPU. */
struct totals {
  __u64 steered_packets;
  __u64 steered_bytes;
  __u64 parked_packets;
  __u64 icmp_errors;  /* of the above, ICMP errors matched by their inner tuple */
  __u64 linger_syns;  /* entries that a SYN ended */
  __u64 unknown_packets; /* parked because nobody knew the flow */
  __u64 unknown_dropped; /* more of them than the process is asked about */
  __u64 unknown_second;  /* the second of the last one, and how many there were in it */
  __u64 unknown_in_second;
  __u64 proven_flows; /* parked flows that an acknowledgement opened */
};

/* An address and port of ours; the address may be the wildcard of its family (:: or ::ffff:0.0.0.0). */
struct listener {
  __u8 address[16];
  __be16 port;
  __u16 reserved;
};

#endif
