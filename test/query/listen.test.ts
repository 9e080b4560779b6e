import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listen } from '../../lib/query/listen.ts'

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
    { message: `Cannot listen on 127.0.0.1:${port}: something else listens there, choose another address` },
  )
  await server.close(0)
})
