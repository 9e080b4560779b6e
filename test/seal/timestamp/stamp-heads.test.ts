import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { assessWindow } from '../../../lib/assess/window/window.ts'
import { askAuthority } from '../../../lib/seal/timestamp/ask-authority.ts'
import { timestampSettings } from '../../../lib/seal/timestamp/settings.ts'
import { stampHeads } from '../../../lib/seal/timestamp/stamp-heads.ts'
import { readTimestamp } from '../../../lib/seal/timestamp/stored-timestamp.ts'
import { TimestampError } from '../../../lib/seal/timestamp/timestamp-error.ts'
import { checkStore } from '../../../lib/seal/verify/check-store.ts'
import { seal } from '../../../lib/seal/write/seal.ts'
import { checkpointKey, headKey, timestampingKey, timestampKey } from '../../../lib/store/log-keys.ts'
import { startTimestampServer } from '../../support/servers/time-stamp-server.ts'
import { certified, pemOf } from '../../support/servers/time-stamps.ts'
import { newSigner } from '../../support/stored/memory-log.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { matchesText, TEXT, textWith } from '../../support/texts/matches-text.ts'

const START = Date.parse('2026-11-30T06:00:00Z')

/** A store with so many sealed reports, and an authority. */
async function started(t: TestContext, reports = 1) {
  const held = new Map<string, Uint8Array>()
  const objects = memoryObjects(held)
  const signer = newSigner()
  const clock = { minutes: 0 }
  const now = () => new Date(START + clock.minutes * 60_000)
  for (let at = 0; at < reports; at++) {
    held.set(`reports/20261130T000000Z-${String(at).padStart(16, '0')}.json`, Buffer.from(String(at)))
    await seal({ now: now() }, { objects, signer })
  }
  const server = await startTimestampServer(t, now)
  const url = new URL(server.url)
  const settings = { url, policy: null, authorities: server.authorities }
  const stamp = (isForced = false) =>
    stampHeads(settings, { isForced }, { objects, ask: askAuthority(url, undefined, 1000), now })
  return { held, objects, signer, clock, server, settings, now, stamp }
}

test('each kept head gets one time stamp, which is stored beside it once and for ever', async (t) => {
  const { held, objects, server, stamp, signer, now } = await started(t, 2)
  const first = await stamp()
  assert.deepEqual(
    [first.stamped.map(({ size, time }) => [size, time]), first.missing, first.problems],
    [
      [
        [2, '2026-11-30T06:00:00Z'],
        [1, '2026-11-30T06:00:00Z'],
      ],
      0,
      [],
    ],
  )
  for (const size of [1, 2]) {
    const note = held.get(headKey(size)) ?? assert.fail()
    const asked = server.asked[2 - size]
    assert.deepEqual(
      [asked?.imprint, asked?.hasCertificates, asked?.type],
      [createHash('sha256').update(note).digest(), true, 'application/timestamp-query'],
    )
    const read = await readTimestamp({ size, note }, objects)
    assert.ok(read !== null && 'body' in read)
  }
  assert.notDeepEqual(server.asked[0]?.nonce, server.asked[1]?.nonce)
  const before = new Map(held)
  assert.deepEqual(await stamp(), { stamped: [], missing: 0, overdue: 0, problems: [] })
  assert.equal(server.asked.length, 2)
  // Sealing goes on beside them, and they are no leaves.
  held.set('reports/20261130T000000Z-9999999999999999.json', Buffer.from('new'))
  const { size, leaves } = await seal({ now: now() }, { objects, signer })
  assert.deepEqual([size, leaves], [3, { report: 1 }])
  await stamp()
  for (const [key, body] of before)
    if (key !== checkpointKey && key.startsWith('log/')) assert.equal(held.get(key), body)
})

test('runs at the same time leave one time stamp, and a planted one stays and is named', async (t) => {
  const { held, objects, stamp, server } = await started(t)
  const outcomes = await Promise.all([stamp(), stamp(), stamp()])
  assert.equal(outcomes.flatMap(({ stamped }) => stamped).length, 1)
  assert.deepEqual(
    outcomes.flatMap(({ problems }) => problems),
    [],
  )
  const note = held.get(headKey(1)) ?? assert.fail()
  held.set(timestampKey(1), Buffer.from('planted'))
  const asked = server.asked.length
  await stamp()
  assert.equal(server.asked.length, asked)
  const read = await readTimestamp({ size: 1, note }, objects)
  assert.deepEqual(read, { key: timestampKey(1), problem: 'it is no answer of a time-stamping authority' })
})

test('a dead authority is told of once, asked again later and later, and given up', async (t) => {
  const { held, stamp, clock, server } = await started(t, 6)
  const { behave } = server
  server.behave = (_, response) => response.writeHead(503).end()
  const host = new URL(server.url).host
  const first = await stamp()
  matchesText(first, { stamped: [], missing: 6, overdue: 0, problems: textWith({ headKey: headKey(6), host }) })
  const times: number[] = [0]
  const problems: string[] = []
  const overdue: [minutes: number, heads: number][] = []
  for (let day = 0; day < 40; day++)
    for (const minutes of Array.from(
      { length: day === 0 ? 288 : 24 },
      (_, at) => day * 1440 + at * (day === 0 ? 5 : 60),
    )) {
      clock.minutes = minutes
      const before = server.asked.length
      const told = await stamp()
      problems.push(...told.problems)
      if (told.overdue !== (overdue.at(-1)?.[1] ?? 0)) overdue.push([minutes, told.overdue])
      if (server.asked.length > before) times.push(minutes)
    }
  assert.deepEqual(times.slice(0, 6), [0, 5, 25, 105, 425, 1920])
  assert.equal(times.length, 20)
  // Once the short pauses are over, and for as long as they have none: also when nobody asks any more.
  assert.deepEqual(overdue, [[425, 6]])
  assert.equal(problems.length, 1)
  matchesText(problems[0])
  server.behave = behave
  assert.deepEqual((await stamp()).stamped, [])
  // Four at a time.
  assert.equal((await stamp(true)).stamped.length, 4)
  const { missing, overdue: left } = await stamp(true)
  assert.deepEqual([missing, left], [0, 0])
  assert.equal([...held.keys()].filter((key) => key.endsWith('.tsr')).length, 6)
  assert.match(Buffer.from(held.get(timestampingKey) ?? '').toString(), /"heads":\{\}/)
})

test('whatever an authority answers, nothing but a time stamp is stored', async (t) => {
  const { held, stamp, clock, server } = await started(t)
  const forger = certified('Forger')
  const html = (response: ServerResponse) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>Hello')
  const elsewhere = createServer((_, response) => response.end('never'))
  elsewhere.listen(0, '127.0.0.1')
  await once(elsewhere, 'listening')
  t.after(() => elsewhere.close())
  let redirected = 0
  elsewhere.on('request', () => (redirected += 1))
  const { port } = elsewhere.address() as AddressInfo
  for (const [behave, says] of [
    [(_: unknown, response: ServerResponse) => html(response), /: it is no answer of a time-stamping authority; /],
    [
      (_: unknown, response: ServerResponse) =>
        response.writeHead(302, { location: `http://127.0.0.1:${port}/` }).end(),
      /: it answered HTTP 302: redirects are not followed, give the address that it leads to; /,
    ],
    [
      (_: unknown, response: ServerResponse) => {
        response.writeHead(200)
        response.on('error', () => undefined)
        const piece = Buffer.alloc(50_000)
        const more = (): void => void (response.destroyed ? undefined : response.write(piece, more))
        more()
      },
      /: its answer is larger than 100000 bytes; /,
    ],
    [
      (_: unknown, response: ServerResponse) => {
        response.writeHead(200, { 'content-length': '500' })
        response.write('half', () => response.destroy())
      },
      /: (it cannot be reached|its answer was cut off)/,
    ],
    [
      (_: unknown, response: ServerResponse) => {
        response.writeHead(200)
        const timer = setInterval(() => response.write('.'), 200)
        response.on('close', () => clearInterval(timer))
      },
      /: it did not answer within 1 s; /,
    ],
    [() => undefined, /: it did not answer within 1 s; /],
    [{ signer: forger }, /: the certificate that signed it does not lead to an authority that is trusted/],
    [{ key: forger.key }, /: its signature is not by the certificate in it; /],
    [{ nonce: Buffer.from('40', 'hex') }, /: it answers another request/],
    [{ imprint: Buffer.alloc(32) }, /: it is of other bytes; /],
    [{ at: new Date(START - 86_400_000 * 400) }, /: it tells the time 2025-/],
    [{ status: 2, statusText: 'no\u001b[31m' }, /: the authority did not grant it \(status 2, no\[U\+001B\]\[31m\); /],
  ] as const) {
    server.behave = behave
    held.delete(timestampingKey)
    const { stamped, problems } = await stamp()
    assert.deepEqual([stamped, problems.length], [[], 1])
    assert.match(problems[0] ?? '', says)
    assert.doesNotMatch(problems[0] ?? '', /[^\x20-\x7E]/)
    assert.ok(!held.has(timestampKey(1)))
    clock.minutes += 10
  }
  assert.equal(redirected, 0)
})

test('no address that is refused is connected to', async () => {
  for (const url of ['http://169.254.169.254/tsr', 'https://[fd00:ec2::254]/tsr'])
    await assert.rejects(askAuthority(new URL(url), undefined)(Buffer.of(1)), (error) => {
      assert.ok(error instanceof TimestampError)
      assert.match(error.message, /^it cannot be reached: the address .* is refused/)
      return true
    })
  await assert.rejects(askAuthority(new URL('http://127.0.0.1:1/'), '10.0.0.0/8')(Buffer.of(1)), /outside CIPHERTRAIL/)
})

test('an address is https, or http where that is allowed and the certificates are known', () => {
  const authorities = pemOf(certified('Root', { isAuthority: true }))
  for (const [options, says] of [
    [{ url: 'ftp://x/' }, /^its address is none that can be asked/],
    [
      { url: 'https://me:secret@tsa.example.com/' },
      /^its address is none that can be asked, wanted one such as[^:]*: ?/,
    ],
    [{ url: 'http://tsa.example.com/' }, /^its address begins with http: use https, or allow it/],
    [{ url: 'http://tsa.example.com/', mayBeHttp: true }, /so anybody on the way could answer: give its certificates/],
    [{ url: 'https://tsa.example.com/', policy: '1.2.x' }, /^the policy is no object identifier/],
  ] as const)
    assert.throws(
      () => timestampSettings({ mayBeHttp: false, ...options }),
      (error) => error instanceof TimestampError && says.test(error.message) && !error.message.includes('secret'),
    )
  const { url, policy } = timestampSettings({
    url: 'http://tsa.example.com/',
    mayBeHttp: true,
    authorities,
    policy: '1.2.3',
  })
  assert.deepEqual([url.href, policy], ['http://tsa.example.com/', '1.2.3'])
})

test('log check names a time stamp that is none, or of a head that is not there', async (t) => {
  const { held, objects, stamp, signer } = await started(t)
  await stamp()
  const check = async () => {
    const { findings } = await checkStore({ vkey: signer.vkey }, { objects, assess: assessWindow })
    return findings.kept.filter(({ key }) => key?.endsWith('.tsr') === true || key === timestampingKey)
  }
  assert.deepEqual(await check(), [])
  const good = held.get(timestampKey(1)) ?? assert.fail()
  held.set(timestampKey(9), good)
  held.set(timestampKey(1), good.subarray(0, 99))
  matchesText(await check(), [
    { key: timestampKey(1), problem: TEXT },
    { key: timestampKey(9), problem: TEXT },
  ])
})
