/* What the adopting programs and their process share. src/backend-agent/adopt-layout.ts states the same offsets in
 * TypeScript, and a test compares the two by the compiled object's BTF. Network order in keys, host order else. */
#ifndef BATON_ADOPT_H
#define BATON_ADOPT_H

#include <linux/types.h>

#include "steering.h"

enum adopt_state {
  ADOPT_EXPECTED = 1, /* its first segment may come: stands in the offer only */
  ADOPT_TRIED = 2,    /* that came, and carries the request; whether a child is born shows in the same call */
  ADOPT_BORN = 3,     /* the child is in the listener's accept queue, or with the application */
  ADOPT_ENDED = 4,    /* and is over */
  ADOPT_THROUGH = 5,  /* the process's own note: it serves this connection itself, and it ends with the process */
};

#define ADOPT_CLIENT_FIRST 1 /* in `flags`: the client's FIN came before ours */

/* In `failure`, beside errno values that the kernel function does not return. */
#define ADOPT_NO_LISTENER 1
#define ADOPT_TIME_WAIT 2   /* the last connection of these addresses is held in TIME_WAIT */
#define ADOPT_FULL 7        /* E2BIG: the books are */
#define ADOPT_NO_COOKIES 95 /* EOPNOTSUPP: net.ipv4.tcp_syncookies is 0 */
#define ADOPT_IN_USE 98     /* EADDRINUSE: a socket of these addresses lives here */

/* As the kernel has it: struct bpf_tcp_req_attrs (include/net/tcp.h), Linux >= 6.8. */
struct bpf_tcp_req_attrs {
  __u32 rcv_tsval;
  __u32 rcv_tsecr;
  __u16 mss;
  __u8 rcv_wscale;
  __u8 snd_wscale;
  __u8 ecn_ok;
  __u8 wscale_ok;
  __u8 sack_ok;
  __u8 tstamp_ok;
  __u8 usec_ts_ok;
  __u8 reserved[3];
};

#define ADOPT_FRONTEND_BYTES 64
#define ADOPT_CONTEXT_BYTES 512

struct adoption {
  __u32 state;
  __u32 seq; /* the first segment's */
  __u32 ack;
  __u32 flags;
  struct bpf_tcp_req_attrs attrs;
  __u8 listener[16]; /* IPv4 as ::ffff:a.b.c.d */
  __be16 listener_port;
  __u16 failure; /* why there is no child: see above, or minus what the kernel function returned */
  __u16 error;   /* errno of the socket at its end: the client's reset, or its silence */
  __u16 reserved[3];
  __u64 cookie; /* of the child */
  __u64 born_ns;
  __u64 ended_ns;
  __u64 bytes_in;
  __u64 bytes_out;
  /* The process's own notes, for the process that comes after it. */
  __u64 id;
  __u64 giver_epoch;
  __u32 unread; /* bytes that are played in, of which `seq` is the first */
  __u8 frontend_length;
  __u8 reserved2;
  __u16 context_length;
  __u8 frontend[ADOPT_FRONTEND_BYTES];
  __u8 context[ADOPT_CONTEXT_BYTES];
};

/* What the process has in hand, one at a time: shared memory, so that neither offering nor looking what became of it is a
 * system call. The entry in the books is made of it when its first segment comes. */
struct offer {
  struct adoption adoption;
  struct flow_key flow;
  __u32 missed; /* ends that the ring buffer had no room for */
};

/* What the process is told of an end. */
struct ending {
  struct flow_key flow;
  __u32 by_client; /* whose doing it was */
  __u64 id;
  __u64 bytes_in;
  __u64 bytes_out;
  __u64 lived_ns;
};

#endif
