import assert from 'node:assert/strict'
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { listenOnLoopback } from '../../demo/loopback.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { registryKey } from '../../lib/store/keys.ts'
import type { ClusterOptions } from '../../lib/store/registry/registration.ts'
import { addCluster, readClusters } from '../../lib/store/registry/registry.ts'
import { type Ran, linesOf, run } from '../support/process/command-line.ts'
import { matchesText, textWith } from '../support/texts/matches-text.ts'

/** What somebody gets who may write to the store, and to nothing else. */

/** A folder with a store and a key beside it, and a server of the attacker that notes who shows it what. */
async function world(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-trust-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const shown: string[] = []
  const server = createServer((request, response) => {
    shown.push(String(request.headers.authorization ?? 'nothing'))
    response.writeHead(401).end()
  })
  const { port, close } = await listenOnLoopback(server)
  t.after(close)
  const store = join(folder, 'ciphertrail-data')
  const command = (...args: string[]): Promise<Ran> => run(args, { folder })
  assert.equal((await command('key', 'new', 'example.com/log')).code, 0)
  const objects = directoryObjects(store)
  return {
    folder,
    store,
    objects,
    shown,
    url: `http://127.0.0.1:${port}`,
    key: `${store}.key`,
    command,
    /** Writes a registration to the store, as its owner's commands do, but past what vouches for it. */
    plant: (options: ClusterOptions) =>
      addCluster(options, { now: new Date('2026-11-24T12:00:00Z'), by: 'somebody' }, { objects }),
  }
}

const AT = ['--at', '2026-11-24T12:30:00Z', '--now', '2026-11-24T13:05:00Z']

function secret(folder: string, text = 'secret', name = 'token'): string {
  writeFileSync(join(folder, name), text, { mode: 0o600 })
  return join(folder, name)
}

/** A kubeconfig whose user runs a command that leaves a file. */
function withCommand(file: string, ran: string, server = 'https://127.0.0.1:1'): string {
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: 'sh', args: ['-c', `env > ${ran}`] }
  const config = {
    'current-context': 'c',
    clusters: [{ name: 'c', cluster: { server } }],
    users: [{ name: 'u', user: { exec } }],
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
  }
  writeFileSync(file, JSON.stringify(config))
  chmodSync(file, 0o600)
  return file
}

test('a registration that somebody wrote to the store sends no key, no file and no token to anybody, in any command', async (t) => {
  const { folder, shown, url, key, command, plant, objects } = await world(t)
  for (const [id, file] of [
    ['key', key],
    ['file', secret(folder)],
  ] as const)
    await plant({ id, prometheusUrl: url, prometheusAuth: { tokenFile: file } })
  // The registry itself is written as well as its changes are.
  assert.ok((await objects.get(registryKey)) !== undefined)
  const ran = await command('collect', ...AT)
  assert.equal(ran.code, 1)
  assert.deepEqual(
    linesOf(ran.stderr).map((line) => line.replace(/in ".*?" v/, 'in FILE v')),
    ['file', 'key'].map(
      (id) =>
        `Cannot open cluster "${id}": nothing in FILE vouches for how it is reached; if the registration is yours ("ciphertrail cluster list"), run "ciphertrail cluster trust ${id}"`,
    ),
  )
  for (const args of [
    ['cluster', 'check', 'key'],
    ['tap', 'deploy/web', '-n', 'shop', '--cluster', 'key', '--for', '1s'],
    ['packets', '--pod', 'shop/web-1', '--cluster', 'key', '--for', '1s'],
  ])
    assert.match((await command(...args)).stderr, /^Cannot open cluster "key": nothing in /)
  assert.equal(shown.length, 0)
  // Nor is anything kept in their name.
  for await (const stored of objects.list('evidence/')) assert.fail(stored)
})

test('a registration that was changed in the store is not opened, and no command vouches for it by the way', async (t) => {
  const { folder, shown, url, command, plant } = await world(t)
  const file = secret(folder)
  const honest = 'https://prometheus.example'
  assert.equal(
    (await command('cluster', 'add', 'prod', '--prometheus-url', honest, '--prometheus-token-file', file)).code,
    0,
  )
  await plant({ id: 'prod', prometheusUrl: url, prometheusAuth: { tokenFile: file } })
  for (const args of [
    ['collect', ...AT],
    ['cluster', 'add', 'prod', '--window', '5m'],
    ['collect', ...AT],
  ]) {
    const { code, stderr } = await command(...args)
    assert.equal(code, 1)
    assert.match(stderr, /^Cannot open cluster "prod": it is registered otherwise than ".+" vouches for; /)
  }
  assert.equal(shown.length, 0)
  const said = await command('cluster', 'trust', 'prod')
  matchesText(said.stdout, textWith({ url, file }))
  await command('collect', ...AT)
  assert.ok(shown.includes('Bearer secret'))
})

test('a cluster that was removed is not opened again where somebody puts its registration back', async (t) => {
  const { folder, shown, url, command, plant } = await world(t)
  const file = secret(folder)
  const add = ['cluster', 'add', 'prod', '--prometheus-url', url, '--prometheus-token-file', file]
  assert.equal((await command(...add)).code, 0)
  assert.equal((await command('cluster', 'remove', 'prod')).code, 0)
  await plant({ id: 'prod', prometheusUrl: url, prometheusAuth: { tokenFile: file } })
  assert.match((await command('collect', ...AT)).stderr, /nothing in ".+" vouches/)
  assert.equal(shown.length, 0)
})

test('a longer or shorter window needs nobody to vouch again', async (t) => {
  const { objects, command } = await world(t)
  assert.equal((await command('cluster', 'add', 'prod')).code, 0)
  await addCluster({ id: 'prod', windowMinutes: 5 }, { now: new Date(), by: 'another' }, { objects })
  assert.equal((await readClusters({ objects }))[0]?.windows.length, 2)
  assert.doesNotMatch((await command('collect', ...AT)).stderr, /Cannot open/)
})

test('a kubeconfig in the store is not obeyed, whoever vouches for it, and runs no command', async (t) => {
  const { folder, store, command, plant } = await world(t)
  mkdirSync(join(store, 'evidence'), { recursive: true })
  const ran = join(folder, 'ran')
  const kubeconfig = withCommand(join(store, 'evidence/kubeconfig'), ran)
  symlinkSync(kubeconfig, join(folder, 'link'))
  for (const file of [kubeconfig, join(folder, 'link')]) {
    const added = await command('cluster', 'add', 'prod', '--kubeconfig', file)
    assert.deepEqual(
      [added.code, added.stderr],
      [2, `Cannot add cluster "prod": the kubeconfig "${file}" is refused: it is a file of the store\n`],
    )
  }
  await plant({ id: 'prod', kubeconfig, prometheusUrl: 'http://127.0.0.1:1' })
  await command('cluster', 'trust', 'prod')
  matchesText((await command('cluster', 'check', 'prod')).stdout)
  assert.ok(!existsSync(ran))
})

test('a command of a kubeconfig runs from a file of its owner that nobody else may write, with a named environment', async (t) => {
  const { folder, command } = await world(t)
  const ran = join(folder, 'ran')
  const kubeconfig = withCommand(join(folder, 'kubeconfig'), ran)
  assert.equal((await command('cluster', 'add', 'prod', '--kubeconfig', kubeconfig)).code, 0)
  chmodSync(kubeconfig, 0o664)
  matchesText((await command('cluster', 'check', 'prod')).stdout)
  assert.ok(!existsSync(ran))
  chmodSync(kubeconfig, 0o644)
  const { stdout } = await run(['cluster', 'check', 'prod'], {
    folder,
    env: {
      CIPHERTRAIL_KEY: join(folder, 'other.key'),
      AWS_PROFILE: 'auditor',
      NODE_OPTIONS: '--no-warnings',
      MINE: 'x',
    },
  })
  matchesText(stdout)
  const names = readFileSync(ran, 'utf8')
    .split('\n')
    .map((line) => line.split('=')[0] ?? '')
  assert.ok(names.includes('AWS_PROFILE') && names.includes('KUBERNETES_EXEC_INFO') && names.includes('PATH'))
  assert.deepEqual(
    names.filter((name) => /^(CIPHERTRAIL|NODE_|MINE)/.test(name)),
    [],
  )
})

test('cluster add refuses the key of the log, what vouches and what lies in the store as a credential, by whatever name', async (t) => {
  const { folder, store, key, command } = await world(t)
  assert.equal((await command('cluster', 'add', 'prod')).code, 0)
  linkSync(key, join(folder, 'hard'))
  symlinkSync(key, join(folder, 'soft'))
  writeFileSync(join(store, 'planted'), 'x')
  for (const [file, state] of [
    [key, 'it is the key of the log'],
    [join(folder, 'hard'), 'it is a file of the key of the log'],
    [join(folder, 'soft'), 'it is the key of the log'],
    [`${store}.trust`, 'it is the file that vouches for clusters'],
    [join(store, 'planted'), 'it is a file of the store'],
  ] as const) {
    const url = ['--prometheus-url', 'https://p.example', '--prometheus-token-file', file]
    const { code, stderr } = await command('cluster', 'add', 'other', ...url)
    assert.deepEqual(
      [code, stderr],
      [2, `Cannot add cluster "other": the token file of Prometheus "${file}" is refused: ${state}\n`],
    )
  }
})

test('with CIPHERTRAIL_CREDENTIALS credentials are read in the folders that it names, and nowhere else', async (t) => {
  const { folder, shown, url, command } = await world(t)
  mkdirSync(join(folder, 'credentials'))
  const inside = secret(join(folder, 'credentials'))
  const outside = secret(folder)
  symlinkSync(outside, join(folder, 'credentials/link'))
  const env = { CIPHERTRAIL_CREDENTIALS: join(folder, 'credentials') }
  for (const file of [outside, join(folder, 'credentials/link')]) {
    assert.equal(
      (await command('cluster', 'add', 'prod', '--prometheus-url', url, '--prometheus-token-file', file)).code,
      0,
    )
    const ran = await run(['collect', ...AT], { folder, env })
    assert.match(ran.stderr, /is refused: it lies in no folder that CIPHERTRAIL_CREDENTIALS names/)
    assert.equal(shown.length, 0)
  }
  await command('cluster', 'add', 'prod', '--prometheus-url', url, '--prometheus-token-file', inside)
  await run(['collect', ...AT], { folder, env })
  assert.ok(shown.includes('Bearer secret'))
})

test('what vouches is a file of its owner that nobody else may read or write, outside the store, and anything else is one line', async (t) => {
  const { folder, store, command } = await world(t)
  assert.equal((await command('cluster', 'add', 'prod')).code, 0)
  const file = `${store}.trust`
  assert.equal(statSync(file).mode & 0o777, 0o600)
  const held = readFileSync(file)
  for (const mode of [0o640, 0o602]) {
    chmodSync(file, mode)
    const { code, stderr } = await command('collect', ...AT)
    assert.equal(code, 1)
    assert.match(
      stderr,
      /^Cannot use ".+\.trust", which vouches for clusters: others than its owner may read or write it/,
    )
  }
  chmodSync(file, 0o600)
  writeFileSync(file, '{}')
  matchesText((await command('collect', ...AT)).stderr)
  writeFileSync(file, held)
  const inside = await run(['collect', ...AT], { folder, env: { CIPHERTRAIL_TRUST: join(store, 'trust') } })
  assert.deepEqual([inside.code, /it lies inside the store/.test(inside.stderr)], [2, true])
  // The store was moved to another machine: one line for each cluster says what to do.
  rmSync(file)
  const { code, stderr } = await command('collect', ...AT)
  assert.deepEqual([code, linesOf(stderr).length], [1, 1])
  assert.equal((await command('cluster', 'trust', 'prod')).code, 0)
  assert.doesNotMatch((await command('collect', ...AT)).stderr, /Cannot open/)
})
