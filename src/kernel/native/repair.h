/*
 * Moving one established connection (TCP_REPAIR): what repair.c, repair_freeze.c and repair_restore.c share.
 *
 * A call gets its values from JavaScript, and gives them back, in a register file: one Uint32Array that is reused.
 * The lists below are the only place that knows its layout; repair.c exports them, by name, when the addon loads.
 */
#ifndef BATON_REPAIR_H
#define BATON_REPAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define BATON_REPAIR_REGISTERS(X)                                                                                  \
  X(ERRNO, "errno")                   /* out: errno of the step that failed */                                     \
  X(STATE, "state")                   /* out: tcpi_state */                                                        \
  X(FAMILY, "family")                 /* 4 or 6: the socket's own family */                                        \
  X(RCV_NXT, "rcvNxt")                                                                                             \
  X(RCV_BYTES, "rcvBytes")            /* out: unread bytes, at the start of the scratch buffer */                  \
  X(WRITE_SEQ, "writeSeq")                                                                                         \
  X(SND_BYTES, "sndBytes")            /* out: un-ACKed bytes, after the unread ones */                             \
  X(UNSENT_BYTES, "unsentBytes")      /* tail of the send queue that was never sent */                             \
  X(SND_WL1, "sndWl1")                                                                                             \
  X(SND_WND, "sndWnd")                                                                                             \
  X(MAX_WINDOW, "maxWindow")                                                                                       \
  X(RCV_WND, "rcvWnd")                                                                                             \
  X(RCV_WUP, "rcvWup")                                                                                             \
  X(MSS, "mss")                                                                                                    \
  X(SACK, "sack")                     /* this and the next: 1 where negotiated */                                  \
  X(WINDOW_SCALING, "windowScaling")                                                                               \
  X(SND_WSCALE, "sndWscale")                                                                                       \
  X(RCV_WSCALE, "rcvWscale")                                                                                       \
  X(TIMESTAMPS, "timestamps")                                                                                      \
  X(TIMESTAMP, "timestamp")           /* as TCP_TIMESTAMP has it: bit 0 is the microsecond bit */                  \
  X(NO_DELAY, "noDelay")                                                                                           \
  X(KEEP_ALIVE, "keepAlive")                                                                                       \
  X(KEEP_IDLE, "keepIdle")                                                                                         \
  X(KEEP_INTERVAL, "keepInterval")                                                                                 \
  X(KEEP_COUNT, "keepCount")                                                                                       \
  X(USER_TIMEOUT_MS, "userTimeoutMs")                                                                              \
  X(TOS, "tos")                                                                                                    \
  X(MARK, "mark")                                                                                                  \
  X(CONGESTION, "congestion")         /* four registers: TCP_CA_NAME_MAX bytes, padded with 0 */                   \
  X(CONGESTION_1, "congestion1")                                                                                   \
  X(CONGESTION_2, "congestion2")                                                                                   \
  X(CONGESTION_3, "congestion3")                                                                                   \
  X(RECEIVE_BUFFER, "receiveBuffer")  /* in: SO_RCVBUF, as it reads back, that the restored socket needs */        \
  X(SEND_BUFFER, "sendBuffer")        /* in: the same for SO_SNDBUF; 0 leaves it alone */                          \
  X(FINISH, "finish")                 /* in: one of BATON_REPAIR_FINISHES */                                       \
  X(HELD, "held")                     /* between two calls of one freeze: 1 while the send window is held at 0 */    \
  X(PASSES, "passes")                 /* out: dumps that it took until nothing moved */

/* What a restore leaves behind: still frozen · live after a window probe · live, and nothing sent. */
#define BATON_REPAIR_FINISHES(X) X(FROZEN, "frozen") X(PROBE, "probe") X(QUIET, "quiet")

/* Every step that can fail, named after its system call or option. The last four are not system calls. */
#define BATON_REPAIR_STEPS(X)                                                                                      \
  X(NONE, "none")                                                                                                  \
  X(INFO, "TCP_INFO")                                                                                              \
  X(LOCK, "SO_ATTACH_FILTER")                                                                                      \
  X(UNLOCK, "SO_DETACH_FILTER")                                                                                    \
  X(ADDRESSES, "getsockname")                                                                                      \
  X(OPTIONS, "socket options")                                                                                     \
  X(REPAIR_ON, "TCP_REPAIR")                                                                                       \
  X(REPAIR_OFF, "TCP_REPAIR_OFF")                                                                                  \
  X(GET_MAXSEG, "read TCP_MAXSEG")                                                                                 \
  X(GET_TIMESTAMP, "read TCP_TIMESTAMP")                                                                           \
  X(GET_WINDOW, "read TCP_REPAIR_WINDOW")                                                                          \
  X(ACK, "TCP_QUICKACK")                                                                                           \
  X(SELECT_QUEUE, "TCP_REPAIR_QUEUE")                                                                              \
  X(GET_SEQUENCE, "read TCP_QUEUE_SEQ")                                                                            \
  X(QUEUE_BYTES, "SIOCINQ")                                                                                        \
  X(PEEK_RECEIVE, "peek receive queue")                                                                            \
  X(PEEK_SEND, "peek send queue")                                                                                  \
  X(SOCKET, "socket")                                                                                              \
  X(SET_OPTIONS, "set socket options")                                                                             \
  X(SET_CONGESTION, "TCP_CONGESTION")                                                                              \
  X(BUFFERS, "socket buffers")                                                                                     \
  X(SET_MAXSEG, "TCP_MAXSEG")                                                                                      \
  X(BIND, "bind")                                                                                                  \
  X(SET_SEQUENCE, "TCP_QUEUE_SEQ")                                                                                 \
  X(CONNECT, "connect")                                                                                            \
  X(SET_TCP_OPTIONS, "TCP_REPAIR_OPTIONS")                                                                         \
  X(SET_TIMESTAMP, "TCP_TIMESTAMP")                                                                                \
  X(FILL_RECEIVE, "fill receive queue")                                                                            \
  X(FILL_SEND, "fill send queue")                                                                                  \
  X(FILL_UNSENT, "fill unsent queue")                                                                              \
  X(SET_WINDOW, "TCP_REPAIR_WINDOW")                                                                               \
  X(PUSH, "TCP_CORK")                                                                                              \
  X(REUSE, "SO_REUSEADDR")                                                                                         \
  X(CLOSE, "close")                                                                                                \
  X(STATE, "state")                   /* not ESTABLISHED: see the state register */                                \
  X(URGENT, "urgent data")                                                                                         \
  X(QUEUE_MISMATCH, "queue length")   /* a peek and its ioctl differ */                                            \
  X(MOVING, "moving")                 /* the socket moved during every one of the dumps */

#define BATON_REPAIR_REGISTER(name, text) R_##name,
#define BATON_REPAIR_STEP(name, text) STEP_##name,
#define BATON_REPAIR_FINISH(name, text) FINISH_##name,
enum baton_repair_register { BATON_REPAIR_REGISTERS(BATON_REPAIR_REGISTER) R_COUNT };
enum baton_repair_step { BATON_REPAIR_STEPS(BATON_REPAIR_STEP) STEP_COUNT };
enum baton_repair_finish { BATON_REPAIR_FINISHES(BATON_REPAIR_FINISH) FINISH_COUNT };

#define BATON_FLOW_KEY_BYTES 36

/* Newer than the headers of Debian 12. */
#ifndef TCPI_OPT_USEC_TS
#define TCPI_OPT_USEC_TS 64
#endif
#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif

static inline int baton_get_u32(int fd, int level, int name, uint32_t *value) {
  socklen_t length = sizeof(*value);
  return getsockopt(fd, level, name, value, &length);
}

static inline int baton_set_int(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof(value));
}

/* Every function below returns STEP_NONE, or the step that failed with its errno in r[R_ERRNO], unless it says otherwise. */
int baton_repair_fail(uint32_t *r, int step, int err);

/* Throws away whatever arrives for the socket, un-ACKed, so that its peer sends it again. */
int baton_repair_lock(int fd, uint32_t *r);
int baton_repair_unlock(int fd, uint32_t *r);

/* TCP_INFO; STEP_STATE unless the connection is established. */
struct tcp_info;
int baton_repair_info(int fd, struct tcp_info *info, uint32_t *r);

/* Dumps a socket in repair mode until nothing has moved since *before. *needed as for baton_repair_freeze. */
int baton_repair_dump(int fd, uint32_t *r, struct tcp_info *before, uint8_t *scratch, size_t capacity,
                      size_t *needed);

/* ::ffff:0:0/96 */
bool baton_repair_is_mapped(const uint8_t *address);

/* Lock, repair mode, dump. Fills in the flow key unless it is known. When the queues do not fit the scratch buffer the
   socket stays frozen and *needed says how large it must be: call again then, with the same registers. Else *needed is
   0. A failure leaves the socket live. */
int baton_repair_freeze(int fd, uint32_t *r, uint8_t *scratch, size_t capacity, uint8_t *key, bool key_known,
                        bool again, size_t *needed);

/* Undoes a freeze: lock off, repair off with a window probe, SO_REUSEADDR on, unsent bytes pushed. snd_wnd
   is the send window if a freeze held it at 0, else 0; without it the answer to the probe brings it. */
int baton_repair_thaw(int fd, uint32_t *r, uint32_t snd_wnd);

/* A new socket from the registers, the flow key and the bytes of both queues. A failure closes it silently. */
int baton_repair_restore(uint32_t *r, const uint8_t *key, const uint8_t *receive, size_t receive_bytes,
                         const uint8_t *send, size_t send_bytes, int *fd_out);

#endif
