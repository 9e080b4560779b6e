import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { type IncomingHttpHeaders, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { TestContext } from 'node:test'
import { ENDINGS } from '../../../lib/deliver/alert/endings.ts'
import { decodeChannels } from '../../../lib/deliver/channel/channel.ts'
import { checkChannel } from '../../../lib/deliver/channel/check-channels.ts'
import { NotSentError } from '../../../lib/deliver/send/send.ts'
import { signatureOf, webhookPost } from '../../../lib/deliver/send/webhook.ts'
import { parseNdjson, run } from '../../support/process/command-line.ts'
import { SURROUNDINGS } from '../../support/deliver/channel-surroundings.ts'
import { CHANNEL } from '../../support/deliver/mail-stories.ts'
import { freshFolder } from '../../support/recorder.ts'
import { startSecrets } from '../../support/servers/secrets-server.ts'
import { CONDITION_KINDS } from '../../../lib/deliver/alert/condition-kinds.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const ARN = 'arn:aws:secretsmanager:eu-west-3:123456789012:secret:hook-AbCdEf'
const NOW = Date.parse('2026-11-24T12:00:00Z')
const at = (minutes: number): Date => new Date(NOW + minutes * 60_000)

/** A webhook that takes what is signed by its secret of now, and refuses whatever else. */
async function signedHook(t: TestContext, secret: () => string) {
  const answered: number[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => (body += String(chunk)))
    request.on('end', () => {
      const given = String(request.headers['ciphertrail-signature'])
      const seconds = Number(/^t=(\d+),/.exec(given)?.[1])
      const code = given === signatureOf(body, secret(), seconds) ? 204 : 401
      answered.push(code)
      response.writeHead(code).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, answered }
}

test('a secret in AWS Secrets Manager is read once in ten minutes, and again at once where what it signs is refused', async (t) => {
  let kept = 'old-secret'
  const asked = await startSecrets(t, () => ({ SecretString: JSON.stringify({ secret: kept }) }))
  let wanted = kept
  const hook = await signedHook(t, () => wanted)
  const post = webhookPost(undefined, { hasFiles: false })
  const tell = (minutes: number) => post({ url: hook.url, secret: ARN }, { id: 'x', body: '{}' }, at(minutes))
  await tell(0)
  await tell(9)
  assert.deepEqual(asked, [`secretsmanager.GetSecretValue eu-west-3 ${ARN}`])
  await tell(11)
  assert.equal(asked.length, 2)
  // It was replaced at both ends; then at the other end alone, which is tried again later.
  wanted = 'new-secret'
  kept = 'new-secret'
  await tell(12)
  assert.deepEqual(hook.answered, [204, 204, 204, 401, 204])
  wanted = 'newest-secret'
  await assert.rejects(tell(13), (error) => {
    assert.ok(error instanceof NotSentError)
    assert.equal(error.refusal, 'for-now')
    assert.equal(error.message, 'the webhook answered HTTP 401')
    return true
  })
})

test('what a webhook answers says whether it is asked again', async (t) => {
  let code = 204
  const server = createServer((request, response) => {
    request.resume()
    request.on('end', () => response.writeHead(code).end())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const secretFile = join(freshFolder(t), 'secret')
  writeFileSync(secretFile, 'hunter2\n')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
  const tell = webhookPost(undefined)
  const answers: [refusal: NotSentError['refusal'], codes: number[]][] = [
    // Busy, slow or broken, or its secret is being replaced.
    ['for-now', [301, 302, 401, 403, 408, 429, 500, 502, 503]],
    ['for-good', [400, 404, 405, 410, 422]],
  ]
  for (const [refusal, codes] of answers)
    for (code of codes)
      await assert.rejects(tell({ url, secretFile }, { id: 'a', body: '{}' }, at(0)), (error) => {
        assert.ok(error instanceof NotSentError)
        assert.deepEqual([error.message, error.refusal], [`the webhook answered HTTP ${code}`, refusal])
        return true
      })
  for (code of [200, 202, 299])
    assert.equal(await tell({ url, secretFile }, { id: 'a', body: '{}' }, at(0)), `HTTP ${code}`)
})

test('a secret that cannot be read, or is in a file that is not here, is told without it, and nothing is posted', async (t) => {
  let answer: object = { SecretString: 'hunter2\nhunter3' }
  await startSecrets(t, () => answer)
  const hook = await signedHook(t, () => 'hunter2')
  const post = webhookPost(undefined, { hasFiles: false })
  const told = async (webhook: { readonly secret?: string; readonly secretFile?: string }): Promise<string> => {
    try {
      return await post({ url: hook.url, ...webhook }, { id: 'x', body: '{}' }, at(0))
    } catch (error) {
      assert.ok(error instanceof NotSentError && error.refusal === 'for-now')
      return error.message
    }
  }
  matchesText(await told({ secret: ARN }))
  answer = { __type: 'ResourceNotFoundException', Message: 'no' }
  matchesText(await told({ secret: ARN }))
  matchesText(await told({ secretFile: '/etc/hook' }))
  assert.deepEqual(hook.answered, [])
})

test('a channel names one secret of its webhook, in a file or in AWS Secrets Manager, and one that was recorded before is read', async (t) => {
  const folder = freshFolder(t)
  const url = 'https://hooks.example.com/ct'
  const add = (...more: readonly string[]) =>
    run(['channel', 'add', 'ops', '--to', 'a@example.com', ...more], { folder })
  assert.equal((await add('--webhook', url, '--webhook-secret', ARN)).code, 0)
  const [listed] = parseNdjson((await run(['channel', 'list', '--json'], { folder })).stdout)
  assert.deepEqual(listed?.['webhook'], { url, secret: ARN })
  for (const wrong of [
    ['--webhook', url],
    ['--webhook-secret', ARN],
    ['--webhook', url, '--webhook-secret', ARN, '--webhook-secret-file', 's'],
  ]) {
    const { code, stderr } = await add(...wrong)
    assert.equal(code, 2)
    assert.match(stderr, /--webhook and either --webhook-secret-file or --webhook-secret go together/)
  }
  const recorded = { ...CHANNEL, webhook: { url, secretFile: '/etc/hook' } }
  assert.deepEqual(decodeChannels({ channels: [recorded] }), [recorded])
  assert.equal(decodeChannels({ channels: [{ ...CHANNEL, webhook: { url } }] }), undefined)
})

test('channel check says where nobody could sign what is posted, and posts nothing', async (t) => {
  const folder = freshFolder(t)
  const url = 'https://hooks.example.com/ct'
  const secretFile = join(folder, 'secret')
  const checked = async (...more: readonly string[]) => {
    const added = await run(['channel', 'add', 'ops', '--to', 'a@example.com', '--webhook', url, ...more], { folder })
    assert.equal(added.code, 0, added.stderr)
    const { stdout } = await run(['channel', 'check', 'ops', '--json'], { folder })
    return parseNdjson(stdout).find(({ check }) => check === 'webhook on hooks.example.com')?.['warning']
  }
  matchesText(String(await checked('--webhook-secret-file', secretFile)))
  writeFileSync(secretFile, 'hunter2')
  assert.equal(await checked('--webhook-secret-file', secretFile), null)
  matchesText(String(await checked('--webhook-secret-file', secretFile, '--alerts', 'off')))
  const [webhook] = checkChannel(
    { ...CHANNEL, webhook: { url, secretFile } },
    { ...SURROUNDINGS, isShared: true },
  ).slice(-1)
  matchesText(webhook?.warning)
})

const DOC = readFileSync(new URL('../../../docs/alerts.md', import.meta.url), 'utf8')

test('the code of docs/alerts.md knows what is ours, and takes nothing that is old, of others or changed', async (t) => {
  const code = /```js\n([^]*?)```/.exec(DOC)?.[1] ?? ''
  const file = join(freshFolder(t), 'verify.mjs')
  writeFileSync(file, code)
  const { isFromCiphertrail } = (await import(pathToFileURL(file).href)) as {
    isFromCiphertrail: (headers: object, body: string, secret: string, now?: number) => boolean
  }
  const received: { headers: IncomingHttpHeaders; body: string }[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => (body += String(chunk)))
    request.on('end', () => {
      received.push({ headers: request.headers, body })
      response.writeHead(204).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const secretFile = join(freshFolder(t), 'secret')
  writeFileSync(secretFile, 'hunter2\n')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  await webhookPost(undefined)({ url, secretFile }, { id: 'x', body: '{"line":"ä"}' }, at(0))
  const [{ headers, body } = { headers: {}, body: '' }] = received
  const now = at(0).getTime() / 1000
  assert.equal(isFromCiphertrail(headers, body, 'hunter2', now + 299), true)
  assert.equal(isFromCiphertrail(headers, body, 'hunter2', now + 301), false)
  assert.equal(isFromCiphertrail(headers, body, 'hunter3', now), false)
  assert.equal(isFromCiphertrail(headers, `${body} `, 'hunter2', now), false)
  assert.equal(isFromCiphertrail({}, body, 'hunter2', now), false)
})

test('docs/alerts.md names every member of the JSON, every kind and every ending', () => {
  const json = readFileSync(new URL('../../golden/alert/waived/alert.json', import.meta.url), 'utf8')
  const members = [...json.matchAll(/"(\w+)":/g)].map(([, member]) => member ?? '')
  for (const name of [...members, ...CONDITION_KINDS, ...ENDINGS])
    assert.ok(DOC.includes(`\`${name}\``) || name === 'format', `docs/alerts.md lacks ${name}`)
})
