import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { listenOnLoopback } from '../../../demo/loopback.ts'
import { toSeconds } from '../../../lib/time/windows.ts'
import { directoryObjects } from '../../../lib/store/objects/directory.ts'
import { readSnapshot } from '../../../lib/store/evidence/evidence.ts'
import { evidencePrefix } from '../../../lib/store/keys.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { addCluster, removeCluster } from '../../../lib/store/registry/registry.ts'
import { linesOf, run } from '../../support/process/command-line.ts'
import { type DemoMesh, startDemoMesh } from '../../support/mesh/demo-mesh.ts'
import { type LogLine, type RunningService, startService } from '../../support/process/running-service.ts'
import { vouchFor } from '../../support/stored/trusted-store.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const TOKEN = '0123456789abcdef0123456789abcdef'

let mesh: DemoMesh

before(async () => {
  mesh = await startDemoMesh({ isLive: true })
  assert.equal((await mesh.run('key', 'new', 'example.com/log', '--key', 'log.key')).code, 0)
  writeFileSync(join(mesh.folder, 'tokens'), `${TOKEN}\n`, { mode: 0o600 })
})
after(() => mesh.close())

/** A store of its own in which the mesh was registered as `past` before its last two windows began; so both are due. */
async function storeWithDue(
  name: string,
  prometheusUrl = mesh.prometheus.url,
): Promise<{ store: string; objects: Objects }> {
  const store = join(mesh.folder, name)
  const objects = directoryObjects(store)
  const now = new Date(toSeconds(mesh.windows.at(-2)?.start ?? '') * 1000)
  const { kubeconfig } = mesh
  await addCluster({ id: 'past', kubeconfig, prometheusUrl, windowMinutes: 5 }, { now, by: 'tester' }, { objects })
  await vouchFor(store, objects)
  return { store, objects }
}

async function keysOf(objects: Objects, prefix = evidencePrefix): Promise<string[]> {
  const keys: string[] = []
  for await (const key of objects.list(prefix)) keys.push(key)
  return keys
}

const options = (store: string, ...more: string[]) => ['--store', store, '--key', 'log.key', ...more]
const isEvent =
  (name: string) =>
  ({ event }: LogLine) =>
    event === name

/** Resolves once so many attempts are sealed. */
async function untilSealed({ until, lines }: RunningService, attempts: number): Promise<void> {
  const sealed = () =>
    lines.reduce((sum, { event, leaves }) => {
      return sum + (event === 'sealed' ? ((leaves as { snapshot?: number }).snapshot ?? 0) : 0)
    }, 0)
  await until(() => sealed() >= attempts)
}

async function statusOf(url: string, path: string, headers: Record<string, string> = {}): Promise<number> {
  return (await fetch(new URL(path, url), { headers })).status
}

/** The store as `log check` sees it. */
async function assertSound(store: string): Promise<void> {
  const { code, stdout, stderr } = await mesh.run('log', 'check', '--store', store)
  assert.equal(code, 0, `${stdout}${stderr}`)
}

test('run collects what is due, seals it, answers over HTTP, and ends with 0 when it is told to', async () => {
  const { store, objects } = await storeWithDue('whole')
  const service = await startService(options(store, '--token-file', 'tokens'), mesh.folder)
  const authorization = `Bearer ${TOKEN}`
  assert.equal(await statusOf(service.url, '/health'), 200)
  assert.equal(await statusOf(service.url, '/v1/paths'), 401)
  await untilSealed(service, 2)
  const answer = await fetch(new URL('/v1/paths?state=not-encrypted', service.url), { headers: { authorization } })
  const { items } = (await answer.json()) as { items: unknown[] }
  assert.ok(items.length > 0)
  assert.equal(await statusOf(service.url, '/v1/checkpoint', { authorization }), 200)
  service.kill('SIGTERM')
  const { code, signal, stderr } = await service.ended
  assert.deepEqual([code, signal, stderr], [0, null, ''])
  assert.deepEqual(
    service.lines.slice(-2).map(({ event }) => event),
    ['stopping', 'stopped'],
  )
  assert.ok((await keysOf(objects)).length >= 2)
  assert.doesNotMatch(JSON.stringify(service.lines), new RegExp(TOKEN))
  await assertSound(store)
})

test('an issuer that is away stops nothing but signing in, and a line says so', async () => {
  const store = join(mesh.folder, 'away')
  const issuer = ['--oidc-issuer', 'http://127.0.0.1:9', '--oidc-client', 'pages', '--url', 'https://ct.example.com']
  const service = await startService(options(store, ...issuer), mesh.folder)
  const { level, message } = await service.until(isEvent('sign-in'))
  assert.equal(level, 'warn')
  matchesText(String(message))
  await service.until(isEvent('sealed'))
  const page = await fetch(service.url)
  assert.equal(page.status, 401)
  const text = await page.text()
  assert.match(text, /Sign in at 127\.0\.0\.1:9/)
  assert.doesNotMatch(text, /name="token"/)
  assert.equal(await statusOf(service.url, '/sign-in'), 503)
  assert.equal(await statusOf(service.url, '/v1/clusters'), 401)
  service.kill('SIGTERM')
  assert.equal((await service.ended).code, 0)
})

test('where nothing is due, nothing is collected, and SIGINT ends it as well', async () => {
  const store = join(mesh.folder, 'empty')
  const service = await startService(options(store), mesh.folder)
  await service.until(isEvent('sealed'))
  assert.equal(await statusOf(service.url, '/v1/clusters'), 200)
  // A page on the web could otherwise ask by a name of its own that leads here.
  const [foreign] = (await once(
    request(new URL('/v1/clusters', service.url), { headers: { host: 'evil.example' } }).end(),
    'response',
  )) as [{ statusCode: number }]
  assert.equal(foreign.statusCode, 401)
  service.kill('SIGINT')
  assert.equal((await service.ended).code, 0)
  assert.deepEqual(await keysOf(directoryObjects(store)), [])
})

test('killed in the middle of a window and started again, it collects what is missing, once', async () => {
  const { store, objects } = await storeWithDue('killed')
  const asked = mesh.prometheus.asked.length
  const service = await startService(options(store), mesh.folder)
  mesh.prometheus.misbehave(() => {
    if (mesh.prometheus.asked.length === asked + 12) service.kill('SIGKILL')
    return undefined
  })
  assert.equal((await service.ended).signal, 'SIGKILL')
  mesh.prometheus.misbehave(undefined)
  const before = await keysOf(objects)
  assert.ok(before.length < 2, `${before.length} windows were whole already`)
  // Its lock died with it.
  const again = await startService(options(store), mesh.folder)
  await untilSealed(again, 2 - before.length)
  again.kill('SIGTERM')
  assert.equal((await again.ended).code, 0)
  const keys = await keysOf(objects)
  assert.deepEqual(
    keys.map((key) => key.slice(-'0001.json.gz'.length)),
    keys.map(() => '0001.json.gz'),
  )
  assert.ok(keys.length >= 2)
  await assertSound(store)
})

test('told to stop in the middle of a window, it ends that one and begins no other', async () => {
  const { store, objects } = await storeWithDue('stopped')
  const asked = mesh.prometheus.asked.length
  const service = await startService(options(store), mesh.folder)
  mesh.prometheus.misbehave(() => {
    if (mesh.prometheus.asked.length === asked + 5) service.kill('SIGTERM')
    return undefined
  })
  const { code } = await service.ended
  mesh.prometheus.misbehave(undefined)
  assert.equal(code, 0)
  assert.equal(service.lines.at(-1)?.['abandoned'], false)
  const keys = await keysOf(objects)
  assert.equal(keys.length, 1)
  assert.equal((await readSnapshot(keys[0] ?? '', objects)).complete, true)
})

test('told to stop while a cluster does not answer, it ends in time, leaves nothing half, and still ends with 0', async () => {
  // Takes connections and never says a word.
  const server = createServer()
  const { port, close } = await listenOnLoopback(server)
  const { store, objects } = await storeWithDue('hung', `http://127.0.0.1:${port}`)
  const service = await startService(options(store, '--stop-timeout', '1s'), mesh.folder)
  await once(server, 'connection')
  service.kill('SIGTERM')
  const { code } = await service.ended
  assert.equal(code, 0)
  assert.deepEqual([service.lines.at(-1)?.event, service.lines.at(-1)?.['abandoned']], ['stopped', true])
  assert.deepEqual(await keysOf(objects), [])
  await close()
})

test('a second run on the same directory is refused, and the first one goes on', async () => {
  const store = join(mesh.folder, 'shared')
  const service = await startService(options(store), mesh.folder)
  const second = await mesh.run('run', ...options(store, '--listen', '127.0.0.1:0'))
  assert.deepEqual([second.code, second.stdout], [1, ''])
  matchesText(second.stderr)
  assert.equal(await statusOf(service.url, '/health'), 200)
  service.kill('SIGTERM')
  assert.equal((await service.ended).code, 0)
  const third = await startService(options(store), mesh.folder)
  third.kill('SIGTERM')
  assert.equal((await third.ended).code, 0)
})

test('what cannot be run is one line, before anything is begun', async () => {
  const { port, close } = await listenOnLoopback(createServer())
  writeFileSync(join(mesh.folder, 'bad-tokens'), 'short\n', { mode: 0o600 })
  const cases: [args: string[], code: number][] = [
    [['--listen', '0.0.0.0:8080'], 2],
    [['--url', 'https://ct.example.com'], 2],
    [['--listen', '8080'], 2],
    [['--listen', '127.0.0.1:70000'], 2],
    [['--jwt-issuer', 'https://login.example.com'], 2],
    [['--jwt-issuer', 'https://a.example', '--jwt-audience', 'a', '--jwt-keys', 'http://a.example/keys'], 2],
    [['--oidc-issuer', 'https://login.example.com'], 2],
    [['--log', 'xml'], 2],
    [['--time-zone', 'Mars/Olympus'], 2],
    [['--concurrency', '0'], 2],
    [['--stop-timeout', 'soon'], 2],
    [['--token-file', 'nowhere'], 1],
    [['--token-file', 'bad-tokens'], 1],
    [['--key', 'no.key'], 1],
    [['--listen', `127.0.0.1:${port}`], 1],
  ]
  for (const [args, code] of cases) {
    const store = `refused${args.join('').replaceAll(/[^a-z]/gi, '')}`
    const ran = await mesh.run('run', '--store', store, '--key', 'log.key', ...args)
    assert.equal(ran.code, code, `${args.join(' ')}: ${ran.stderr}`)
    matchesText(ran.stderr)
    assert.equal(linesOf(ran.stderr).length, 1)
  }
  await close()
})

test('folders of credentials that are none stop it before it looks at a cluster', async () => {
  for (const folder of ['nowhere', 'tokens']) {
    const env = { CIPHERTRAIL_CREDENTIALS: `${mesh.folder}:${join(mesh.folder, folder)}` }
    const ran = await run(['run', '--store', 'unread', '--key', 'log.key'], { folder: mesh.folder, env })
    assert.equal(ran.code, 2, ran.stderr)
    assert.match(
      ran.stderr,
      /^Cannot use CIPHERTRAIL_CREDENTIALS: ".*" is no folder that can be read, wanted [^\n]*\n$/,
    )
    assert.match(ran.stderr, new RegExp(`/${folder}"`))
  }
})

test('a cluster that is removed while it runs is not asked any more', async () => {
  const { store, objects } = await storeWithDue('removed')
  await removeCluster('past', { now: new Date(), by: 'tester' }, { objects })
  const asked = mesh.prometheus.asked.length
  const service = await startService(options(store), mesh.folder)
  await service.until(isEvent('sealed'))
  service.kill('SIGTERM')
  assert.equal((await service.ended).code, 0)
  assert.equal(mesh.prometheus.asked.length, asked)
})
