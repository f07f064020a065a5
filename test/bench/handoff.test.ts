import assert from 'node:assert/strict'
import { test } from 'node:test'
import { wrkErrors } from '../../bench/handoff/load.js'
import { counterOf, describe, histogramsOf, since } from '../../bench/handoff/scrape.js'
import {
  agentRules,
  countedCalls,
  frontendRules,
  perHandoff,
  sortCalls,
  sumOf,
} from '../../bench/handoff/trace-rules.js'
import { FrontendMetrics } from '../../src/telemetry/index.js'

test('figures of a scrape come back as they were observed', async () => {
  const metrics = new FrontendMetrics()
  metrics.handoffs.inc('adopted')
  metrics.phases.child('freeze').observe(20e-6)
  const before = await metrics.text()
  metrics.handoffs.inc('adopted')
  for (const us of [6, 7, 8, 30]) metrics.phases.child('freeze').observe(us * 1e-6)
  const after = await metrics.text()
  assert.equal(counterOf(after, 'baton_handoffs_total', { result: 'adopted' }), 2)
  assert.throws(() => counterOf(after, 'baton_handoffs_total', { result: 'none' }), RangeError)
  const read = (text: string) => histogramsOf(text, 'baton_handoff_phase_seconds', 'phase').get('freeze')!
  const gained = since(read(before), read(after))
  assert.equal(gained.count, 4)
  const figures = describe(gained)!
  assert.ok(Math.abs(figures.meanUs - 12.75) < 1e-6, `${figures.meanUs}`)
  // Three of four lie in the bucket from 5 to 10 µs.
  assert.ok(figures.medianUs > 5 && figures.medianUs < 10, `${figures.medianUs}`)
  assert.ok(figures.p99Us > 25 && figures.p99Us <= 50, `${figures.p99Us}`)
  assert.equal(describe(since(read(after), read(after))), undefined)
})

test('the calls of a frontend are sorted into phases, those of its other threads apart', () => {
  const trace = `
7 epoll_pwait(13, [], 1024, 0, NULL, 8) = 0
7 epoll_pwait(13,  <unfinished ...>
8 futex(0x1, FUTEX_WAKE_PRIVATE, 1) = 1
7 <... epoll_pwait resumed>[{events=EPOLLIN, data={u32=19, u64=19}}], 1024, 10, NULL, 8) = 1
7 epoll_wait(19, [{events=EPOLLIN, data={u32=0, u64=0}}], 256, 0) = 1
7 accept4(24, {sa_family=AF_INET}, [128 => 16], SOCK_CLOEXEC|SOCK_NONBLOCK) = 35
7 recvfrom(35, "GET /"..., 16384, MSG_PEEK|MSG_DONTWAIT, NULL, NULL) = 105
7 accept4(24, 0x7f, [128], SOCK_CLOEXEC|SOCK_NONBLOCK) = -1 EAGAIN (Resource temporarily unavailable)
7 bpf(BPF_MAP_UPDATE_ELEM, {map_fd=28}, 32) = 0
7 getsockopt(35, SOL_TCP, TCP_INFO, ""..., [232]) = 0
7 setsockopt(35, SOL_TCP, TCP_REPAIR, [1], 4) = 0
7 recvfrom(35, "GET /"..., 65536, MSG_PEEK|MSG_DONTWAIT, NULL, NULL) = 105
7 sendto(27, "\\0\\0\\1P\\20"..., 341, MSG_DONTWAIT|MSG_NOSIGNAL, NULL, 0) = 341
7 epoll_pwait(13, [{events=EPOLLIN, data={u32=27, u64=27}}], 1024, 10, NULL, 8) = 1
7 recvfrom(27, "\\0\\0\\0\\10\\21"..., 65536, MSG_DONTWAIT, NULL, NULL) = 13
7 bpf(BPF_MAP_UPDATE_ELEM, {map_fd=28}, 32) = 0
7 read(21, 0x7f, 1048576) = -1 EAGAIN (Resource temporarily unavailable)
7 setsockopt(35, SOL_TCP, TCP_REPAIR, [1], 4) = 0
7 close(35) = 0
7 recvfrom(27, "\\0\\0\\0\\247#"..., 65536, MSG_DONTWAIT, NULL, NULL) = 172
7 bpf(BPF_MAP_LOOKUP_ELEM, {map_fd=28}, 32) = 0
7 bpf(BPF_MAP_UPDATE_ELEM, {map_fd=28}, 32) = 0
7 getpid() = 7
7 +++ exited with 0 +++`
  const calls = sortCalls(trace, 7, frontendRules)
  const counts = Object.fromEntries(Object.entries(calls).map(([phase, names]) => [phase, sumOf(names)]))
  assert.deepEqual(counts, {
    threads: 1,
    loop: 2,
    gate: 4,
    park: 1,
    freeze: 3,
    offer: 1,
    receive: 2,
    steer: 2,
    close: 2,
    linger: 2,
    other: 1,
  })
  assert.deepEqual(perHandoff(calls, 4).gate, { epoll_wait: 0.25, accept4: 0.5, recvfrom: 0.25 })
})

test('the calls of an agent are sorted too', () => {
  const trace = `
7 recvfrom(22, "\\0\\0\\1P\\20"..., 65536, MSG_DONTWAIT, NULL, NULL) = 341
7 socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK, IPPROTO_TCP) = 23
7 bind(23, {sa_family=AF_INET}, 16) = 0
7 sendto(23, "GET /"..., 105, MSG_DONTWAIT|MSG_NOSIGNAL, NULL, 0) = 105
7 setsockopt(23, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0
7 ioctl(23, TCGETS, 0x7f) = -1 ENOTTY (Inappropriate ioctl for device)
7 getsockopt(23, SOL_SOCKET, SO_TYPE, [1], [4]) = 0
7 sendto(22, "\\0\\0\\0\\10\\21"..., 13, MSG_DONTWAIT|MSG_NOSIGNAL, NULL, 0) = 13
7 epoll_ctl(13, EPOLL_CTL_ADD, 23, {events=EPOLLIN}) = 0
7 writev(23, [{iov_base="HTTP/1.1"..., iov_len=137}], 2) = 1161
7 shutdown(23, SHUT_WR) = 0
7 read(23, "", 65536) = 0
7 close(23) = 0
7 sendto(22, "\\0\\0\\0\\247#"..., 172, MSG_DONTWAIT|MSG_NOSIGNAL, NULL, 0) = 172`
  const calls = sortCalls(trace, 7, agentRules)
  const counts = Object.fromEntries(Object.entries(calls).map(([phase, names]) => [phase, sumOf(names)]))
  const expected = {
    receive: 1,
    restore: 4,
    deliver: 3,
    adopted: 1,
    answer: 1,
    close: 3,
    closed: 1,
  }
  assert.deepEqual(counts, expected)
})

test('the tables of strace -c and of wrk are read', () => {
  const output = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 55.10    0.001000          10       100           getsockopt
 44.90    0.000900           9        99        12 accept4
------ ----------- ----------- --------- --------- ----------------
100.00    0.001900           9       199        12 total
`
  assert.deepEqual(countedCalls(output), { getsockopt: 100, accept4: 99 })
  assert.equal(
    wrkErrors('  Socket errors: connect 1, read 2, write 0, timeout 4\n  Non-2xx or 3xx responses: 5\n'),
    12,
  )
  assert.equal(wrkErrors('Requests/sec: 10'), 0)
})
