import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readStatus } from '../../../lib/jobs/read-status.ts'
import { addCluster } from '../../../lib/store/registry/registry.ts'
import { TOKENS, startLocalSite } from '../../support/servers/local-site.ts'
import { fillHistories } from '../../support/stored/asked-store.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { minutesIn } from '../../support/stored/sealed-store.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

/** Twelve questions that have nothing in common. */
const QUESTIONS = Array.from({ length: 12 }, (_, day) => `/log?at=2026-11-${String(day + 10)}T12:00:00Z`)

test(
  'one page is read at once, eight wait, and whoever asks more is told when to ask again',
  { timeout: 60_000 },
  async (t) => {
    const objects = memoryObjects()
    await fillHistories(objects)
    const gate = Promise.withResolvers<void>()
    let [reads, running, most] = [0, 0, 0]
    const { ask, logged, signIn } = await startLocalSite(t, {
      objects,
      async readStatus(asked) {
        reads += 1
        running += 1
        most = Math.max(most, running)
        await gate.promise
        running -= 1
        return readStatus({ ...asked, version: '1.2.3' }, { objects })
      },
    })
    const headers = { cookie: await signIn(TOKENS.all) }
    const refused: string[] = []
    const enough = Promise.withResolvers<void>()
    const asked = QUESTIONS.map(async (question) => {
      const response = await ask(question, { headers })
      const text = await response.text()
      if (response.status === 503) {
        assert.equal(response.headers.get('retry-after'), '10')
        assert.match(text, /<h1>Too much is asked at once<\/h1>/)
        if (refused.push(question) === 3) enough.resolve()
      }
      return { question, status: response.status }
    })
    // All the others are read, or wait, until the gate opens.
    await enough.promise
    assert.equal(reads, 1)
    matchesText(logged.at(-1)?.error)
    gate.resolve()
    for (const { question, status } of await Promise.all(asked))
      assert.equal(status, refused.includes(question) ? 503 : 200, question)
    assert.equal(reads, 9)
    assert.equal(most, 1)
    for (const question of refused) assert.equal((await ask(question, { headers })).status, 200)
    assert.equal(reads, 12)
  },
)

test('what is asked many times at once is read once', async (t) => {
  const objects = memoryObjects()
  await fillHistories(objects)
  let reads = 0
  const { ask, signIn } = await startLocalSite(t, {
    objects,
    readStatus(asked) {
      reads += 1
      return readStatus({ ...asked, version: '1.2.3' }, { objects })
    },
  })
  const headers = { cookie: await signIn(TOKENS.all) }
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask('/log', { headers })))
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200])
  assert.equal(reads, 1)
})

test('a read that fails leaves its place to the next one', async (t) => {
  let reads = 0
  const { ask, signIn } = await startLocalSite(t, {
    async readStatus() {
      reads += 1
      throw new Error('cannot be read')
    },
  })
  const headers = { cookie: await signIn(TOKENS.all) }
  for (const question of QUESTIONS) assert.equal((await ask(question, { headers })).status, 500)
  assert.equal(reads, QUESTIONS.length)
})

test('a page is about a hundred clusters at most, and of more lets one choose', async (t) => {
  const objects = memoryObjects()
  for (let index = 0; index <= 100; index++)
    await addCluster({ id: `c${String(index).padStart(3, '0')}` }, { now: minutesIn(0), by: 'tester' }, { objects })
  const { ask, signIn } = await startLocalSite(t, { objects })
  const headers = { cookie: await signIn(TOKENS.all) }
  for (const path of ['/', '/paths', '/workloads']) {
    const response = await ask(`${path}?class=all`, { headers })
    assert.equal(response.status, 200, path)
    const html = await response.text()
    assert.match(html, /Cannot show 101 clusters on one page: wanted at most 100\./)
    const links = [...html.matchAll(/<p><a href="([^"]*)">(c\d{3})<\/a><\/p>/gu)]
    assert.equal(links.length, 101)
    const [, href = '', id] = links[7] ?? []
    assert.equal(id, 'c007')
    const address = href.replaceAll('&amp;', '&').replaceAll('&#x3D;', '=')
    assert.equal(address, `${path}?class=all&cluster=c007`)
    assert.equal((await ask(address, { headers })).status, 200)
  }
})
