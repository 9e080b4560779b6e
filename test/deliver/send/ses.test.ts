import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { createConnection } from 'node:net'
import { Worker } from 'node:worker_threads'
import { NotSentError } from '../../../lib/deliver/send/send.ts'
import { sesMail } from '../../../lib/deliver/send/ses.ts'

const ENVELOPE = {
  from: 'ciphertrail@example.com',
  to: 'ada@example.com',
  message: Buffer.from('Subject: x\r\n\r\nx\r\n'),
  tags: { kind: 'week', period: '2026-W47', channel: 'pay', recipient: `r${'0'.repeat(32)}` },
} as const

/** How a try ends where SES is at an address: `not sent`, `not sent, for-good`, or `unknown`; and what it says. */
async function outcomeAt(endpoint: string): Promise<readonly [string, string]> {
  Object.assign(process.env, {
    AWS_ENDPOINT_URL_SESV2: endpoint,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
  })
  try {
    return ['sent', await sesMail({ region: 'eu-central-1', configurationSet: null })(ENVELOPE)]
  } catch (error) {
    assert.ok(error instanceof Error)
    const isSurelyNot = error instanceof NotSentError
    return [
      isSurelyNot ? `not sent${error.refusal === 'for-now' ? '' : `, ${error.refusal}`}` : 'unknown',
      error.message,
    ]
  }
}

/** A port on which nobody takes connections any more, as an address to which there is no way: packets are dropped. */
async function deafPort(t: TestContext): Promise<number> {
  const worker = new Worker(
    `const server = require('node:net').createServer()
     server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
       require('node:worker_threads').parentPort.postMessage(server.address().port)
       Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
     })`,
    { eval: true },
  )
  const [port] = (await once(worker, 'message')) as [number]
  const waiting = [1, 2].map(() => createConnection({ port, host: '127.0.0.1' }))
  await Promise.all(waiting.map((socket) => once(socket, 'connect')))
  t.after(async () => {
    for (const socket of waiting) socket.destroy()
    await worker.terminate()
  })
  return port
}

test('sesMail() calls a mail not sent where SES was never reached, also where packets are dropped', async (t) => {
  const [outcome, words] = await outcomeAt(`http://127.0.0.1:${await deafPort(t)}`)
  assert.equal(outcome, 'not sent', words)
  const closed = createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as AddressInfo
  closed.close()
  await once(closed, 'close')
  assert.equal((await outcomeAt(`http://127.0.0.1:${port}`))[0], 'not sent')
})

for (const [status, name, message, wanted] of [
  [400, 'MessageRejected', 'Local address contains control or whitespace', 'not sent, for-good'],
  // The account is in the sandbox, or its identity is gone: what is mended helps the next try.
  [
    400,
    'MessageRejected',
    'Email address is not verified. The following identities failed the check in region EU-CENTRAL-1: Ada@example.com',
    'not sent',
  ],
  [400, 'AccessDeniedException', 'is not authorized on identity/ada@example.com', 'not sent'],
  [429, 'TooManyRequestsException', 'Maximum sending rate exceeded.', 'not sent, too-fast'],
  [429, 'TooManyRequestsException', 'Daily message quota exceeded.', 'not sent, quota'],
  [400, 'ThrottlingException', 'Rate exceeded', 'not sent, too-fast'],
  [500, 'InternalFailure', 'x', 'unknown'],
] as const)
  test(`sesMail() takes ${name} (${message.slice(0, 40)}) for ${wanted}, and says it without an address`, async (t) => {
    const server = createServer((request, response) => {
      request.resume().on('end', () => {
        response.writeHead(status, { 'content-type': 'application/json', 'x-amzn-errortype': name })
        response.end(JSON.stringify({ message }))
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => {
      server.close()
      server.closeAllConnections()
    })
    const [outcome, words] = await outcomeAt(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    assert.equal(outcome, wanted, words)
    assert.doesNotMatch(words, /ada@/i)
  })

test('sesMail() names the mail by the four parts of its claim and the configuration set, by which SES reports of it, and wants no link rewritten', async (t) => {
  const asked: unknown[] = []
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      asked.push(JSON.parse(body))
      response.setHeader('content-type', 'application/json').end('{"MessageId":"ses-1"}')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  Object.assign(process.env, {
    AWS_ENDPOINT_URL_SESV2: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
  })
  const send = sesMail({ region: 'eu-central-1', configurationSet: 'ciphertrail-prod' })
  const recipient = `r${'0'.repeat(32)}`
  const id = await send({
    from: 'ciphertrail@example.com',
    to: 'ada@example.com',
    message: Buffer.from('Subject: x\r\n\r\nx\r\n'),
    tags: { kind: 'week', period: '2026-W47', channel: 'pay', recipient },
  })
  assert.equal(id, 'ses-1')
  assert.deepEqual(asked, [
    {
      FromEmailAddress: 'ciphertrail@example.com',
      Destination: { ToAddresses: ['ada@example.com'] },
      Content: { Raw: { Data: Buffer.from('Subject: x\r\n\r\nx\r\n').toString('base64') } },
      EmailTags: [
        { Name: 'kind', Value: 'week' },
        { Name: 'period', Value: '2026-W47' },
        { Name: 'channel', Value: 'pay' },
        { Name: 'recipient', Value: recipient },
      ],
      ConfigurationOverrides: { Tracking: { OpenTrackingEnabled: 'DISABLED', ClickTrackingEnabled: 'DISABLED' } },
      ConfigurationSetName: 'ciphertrail-prod',
    },
  ])
})
