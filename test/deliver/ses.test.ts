import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { sesMail } from '../../lib/deliver/ses.ts'

test('sesMail() names the mail by the four parts of its claim and the configuration set, by which SES reports of it', async (t) => {
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
      ConfigurationSetName: 'ciphertrail-prod',
    },
  ])
})
