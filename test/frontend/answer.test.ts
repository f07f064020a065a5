import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { answerAndClose, closeQuietly, resetAndClose } from '../../src/frontend/answer.js'
import { rawAnswer } from '../../src/relay/index.js'
import { enterNamespace, openDescriptors, Rig, until } from '../gate/rig.js'

let leave: () => void
let rig: Rig
let port: number

before(() => {
  leave = enterNamespace('answer')
  rig = new Rig()
  port = rig.listen()
})
after(() => {
  rig?.dispose()
  leave?.()
})

/** A client that has sent `text`, and the descriptor at which the gate saw its head, every byte of it unread. */
async function arrive(text: string): Promise<{ client: Socket; fd: number }> {
  const client = await rig.client(port)
  client.write(text)
  await until('the head is there', () => rig.arrivals.length === 1)
  const { fd } = rig.arrivals.splice(0)[0]!
  return { client, fd }
}

/** What the client got, and whether the end was clean. */
async function collect(client: Socket): Promise<{ text: string; reset: boolean }> {
  const chunks: Buffer[] = []
  let reset = false
  client.on('data', (chunk: Buffer) => chunks.push(chunk))
  client.on('error', (error: NodeJS.ErrnoException) => {
    reset ||= error.code === 'ECONNRESET'
  })
  client.on('end', () => client.end())
  // Not once(): an error is part of the story.
  await new Promise<void>((resolve) => client.once('close', () => resolve()))
  return { text: Buffer.concat(chunks).toString('latin1'), reset }
}

const head = 'POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n'

describe('an answer on a connection of which nothing was read', () => {
  test('reaches the client whole although its request is unread and still coming, without a reset', async () => {
    const { client, fd } = await arrive(head)
    for (let megabyte = 0; megabyte < 4; megabyte++) client.write(Buffer.alloc(1_000_000, 'b'))
    const bytes = rawAnswer(413, { code: 'BATON_NO_ROUTE' })
    const closed = new Promise<void>((resolve) => answerAndClose(fd, bytes, resolve))
    const got = await collect(client)
    assert.equal(got.text, bytes.toString('latin1'))
    assert.equal(got.reset, false)
    await closed
  })

  test('a client that never closes is cut after two seconds, and the descriptor is free again', async () => {
    const before = openDescriptors()
    const { client, fd } = await arrive('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    const chunks: Buffer[] = []
    client.on('data', (chunk: Buffer) => chunks.push(chunk))
    const bytes = rawAnswer(503)
    await new Promise<void>((resolve) => answerAndClose(fd, bytes, resolve))
    assert.equal(Buffer.concat(chunks).toString('latin1'), bytes.toString('latin1'))
    client.destroy()
    await once(client, 'close')
    assert.ok(openDescriptors() <= before)
  })

  test('one that is gone already harms nobody', async () => {
    const { client, fd } = await arrive('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    client.resetAndDestroy()
    await once(client, 'close')
    await new Promise<void>((resolve) => answerAndClose(fd, rawAnswer(404), resolve))
  })

  test('to HEAD has the length of a body and no body', () => {
    const [fields = '', body] = rawAnswer(404, { code: 'BATON_NO_ROUTE', head: true })
      .toString('latin1')
      .split('\r\n\r\n')
    const whole = rawAnswer(404, { code: 'BATON_NO_ROUTE' }).toString('latin1').split('\r\n\r\n')
    assert.equal(body, '')
    assert.match(fields, new RegExp(`\r\nContent-Length: ${whole[1]?.length}\r\n`))
  })
})

test('resetAndClose tells the client by RST, closeQuietly ends without a byte', async () => {
  const one = await arrive('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  resetAndClose(one.fd)
  assert.deepEqual(await collect(one.client), { text: '', reset: true })
  const two = await rig.client(port)
  two.end()
  await until('it is gone', () => rig.gone.length === 1)
  closeQuietly(rig.gone.splice(0)[0]!.fd)
  assert.deepEqual(await collect(two), { text: '', reset: false })
})
