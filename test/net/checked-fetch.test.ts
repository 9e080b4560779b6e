import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { listenOnLoopback } from '../../demo/loopback.ts'
import { checkedFetch } from '../../lib/net/checked-fetch.ts'
import { addressCheck } from '../../lib/net/refused-addresses.ts'
import { errorText } from '../support/texts/matches-text.ts'

test('checkedFetch() asks as fetch does, follows nothing, and reads no more than a megabyte', async (t) => {
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      if (request.url === '/large') return response.end(Buffer.alloc(1_000_001))
      if (request.url === '/away') return response.writeHead(302, { location: '/' }).end()
      response.writeHead(201, { 'content-type': 'text/plain' })
      return response.end(
        `${request.method} ${String(request.headers['x-own'])} ${request.headers['content-type']} ${body}`,
      )
    })
  })
  const { port, close } = await listenOnLoopback(server)
  t.after(close)
  const ask = checkedFetch(addressCheck(undefined))
  const url = `http://localhost:${port}`
  const answer = await ask(`${url}/`, {
    method: 'POST',
    headers: { 'x-own': 'yes', 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ a: 'ä' }),
  })
  assert.deepEqual([answer.status, answer.headers.get('content-type')], [201, 'text/plain'])
  assert.equal(await answer.text(), 'POST yes application/x-www-form-urlencoded a=%C3%A4')
  assert.equal((await ask(`${url}/away`)).status, 302)
  await assert.rejects(ask(`${url}/large`), /more than 1000000 bytes/)
  await assert.rejects(ask(`${url}/`, { signal: AbortSignal.abort() }), { name: 'AbortError' })
})

test('checkedFetch() connects to no address that is refused, also behind a name', async () => {
  const ask = checkedFetch(addressCheck(undefined))
  await assert.rejects(
    ask('http://169.254.169.254/latest/meta-data'),
    /169\.254\.169\.254 is refused, it is link-local/,
  )
  const inside = checkedFetch(addressCheck('10.0.0.0/8'))
  await assert.rejects(inside('http://localhost:1/'), errorText())
})
