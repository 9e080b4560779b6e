import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { listen } from '../../lib/query/listen.ts'
import { errorText, textWith } from '../support/texts/matches-text.ts'

const LOOPBACK = { host: '127.0.0.1', port: 0 }

test('listen() answers by a function of the Fetch API, and leaves the globals of the process as they are', async () => {
  const [request, response] = [globalThis.Request, globalThis.Response]
  const server = await listen(({ url }) => new Response(new URL(url).pathname), LOOPBACK)
  assert.equal(await (await fetch(`${server.url}/paths`)).text(), '/paths')
  assert.ok(globalThis.Request === request && globalThis.Response === response)
  await server.close(0)
  await assert.rejects(fetch(server.url))
})

test('listen() says in one line that something else listens there', async () => {
  const server = await listen(() => new Response(), LOOPBACK)
  const port = Number(new URL(server.url).port)
  await assert.rejects(
    listen(() => new Response(), { ...LOOPBACK, port }),
    errorText({ message: textWith({ port }) }),
  )
  await server.close(0)
})

/** Sends bytes over a socket, and then nothing; resolves when the server ends it, with what it answered and how long that took. */
async function hold(url: string, bytes: string): Promise<{ readonly answer: string; readonly ms: number }> {
  const { hostname, port } = new URL(url)
  const began = performance.now()
  const socket = connect({ host: hostname, port: Number(port) })
  socket.write(bytes)
  const answer = await text(socket).catch(() => '')
  return { answer, ms: performance.now() - began }
}

test('listen() cuts off whoever sends a head or a body too slowly, also where that is answered before it is there', async (t) => {
  const limits = { headersMs: 300, requestMs: 600, checkMs: 50 }
  const read: string[] = []
  const server = await listen(
    async (request) => {
      if (new URL(request.url).pathname === '/answered') return new Response('early', { status: 404 })
      await request.text().catch(() => read.push('unfinished'))
      return new Response('late')
    },
    LOOPBACK,
    limits,
  )
  t.after(() => server.close(0))
  const form = 'Host: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 32000\r\n\r\ntoken='
  for (const [bytes, most] of [
    ['GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ', limits.headersMs],
    [`POST / HTTP/1.1\r\n${form}`, limits.requestMs],
    [`POST /answered HTTP/1.1\r\n${form}`, limits.requestMs],
    ['POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ntok', limits.requestMs],
  ] as const) {
    const { ms } = await hold(server.url, bytes)
    assert.ok(ms < most + 2000, `${bytes.slice(0, 20)} was held for ${ms} ms`)
  }
  assert.deepEqual(read, ['unfinished', 'unfinished'])
  assert.equal(await (await fetch(server.url)).text(), 'late')
})
