/* What the gate's files share: one record per connection seen in a wake-up, and the making of listening sockets. */
#ifndef BATON_GATE_H
#define BATON_GATE_H

#include "common.h"

#include <sys/socket.h>

#define GATE_FLOW_BYTES 36

/* One record, as JavaScript reads it out of an Int32Array; its layout is exported as gateLayout.
 *   ACCEPTED       fd new, tag = listener index, flow filled in
 *   READABLE       fd known, tag = generation given to gateAdd
 *   ACCEPT_FAILED  no fd; length = -errno; the listeners rest until gateAccepting(true) */
typedef struct {
  int32_t event;
  int32_t fd;
  int32_t tag;
  int32_t offset; /* of the peeked bytes in the byte buffer */
  int32_t length; /* bytes peeked, or -errno of the peek */
  int32_t flags;
  int32_t queued; /* bytes in the kernel's receive queue, at least `length` */
  uint8_t flow[GATE_FLOW_BYTES]; /* src/kernel/flow.ts */
} gate_record;

enum { GATE_ACCEPTED = 0, GATE_READABLE = 1, GATE_ACCEPT_FAILED = 2 };
enum { GATE_HALF_CLOSED = 1, GATE_HUNG_UP = 2 };

typedef struct {
  int fd; /* -1 once closed */
  bool any_address;
  uint8_t local[16];
  uint16_t port; /* network order */
} gate_listener;

/* Makes a non-blocking listening socket. On failure returns -errno and names the step; nothing stays open. */
int gate_make_listener(gate_listener *listener, const char *address, uint16_t port, int backlog, int defer_seconds,
                       const char **step);

/* Writes the 16 address bytes (IPv4 as ::ffff:a.b.c.d) and the port in network order. */
void gate_address(const struct sockaddr_storage *from, uint8_t address[16], uint8_t port[2]);

#endif
