import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type BuiltImage, type LayerOptions, buildImage, execForm, inLayer } from '../support/aws/image-build.ts'

/** No registry of images is asked: this machine's root stands for the base image, so what that one brings is not tested here. */
let image: BuiltImage
let folder: string
let container: LayerOptions & { readonly mounts: Readonly<Record<string, string>> }

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'ciphertrail-image-'))
  chmodSync(folder, 0o755)
  image = buildImage(folder)
  const [data, secrets] = [join(folder, 'data'), join(folder, 'secrets')]
  for (const one of [data, secrets]) mkdirSync(one)
  chownSync(data, 1000, 1000)
  writeFileSync(join(secrets, 'tokens'), `${'t'.repeat(32)}\n`, { mode: 0o600 })
  chownSync(join(secrets, 'tokens'), 1000, 1000)
  container = {
    env: image.environment,
    user: image.last('USER'),
    isReadOnly: true,
    mounts: { '/data': data, '/run/secrets': secrets },
  }
})
after(() => rmSync(folder, { recursive: true, force: true }))

const quoted = (words: readonly string[]) => words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
const command = (...words: string[]) => quoted([...execForm(image.last('ENTRYPOINT')), ...words])

test('the image holds what runs, and neither tests, development dependencies nor what lies in the folder', () => {
  const app = join(image.written, 'app')
  assert.deepEqual(readdirSync(app).toSorted(), [
    'CHANGELOG.md',
    'LICENSE',
    'bin',
    'cli',
    'demo',
    'infra',
    'lib',
    'node_modules',
    'package.json',
  ])
  for (const name of ['typescript', 'oxlint', 'fast-check'])
    assert.ok(!existsSync(join(app, 'node_modules', name)), name)
})

test('it runs without being root on a disk that it cannot write to, is healthy, and ends with 0 on the signal that it names', () => {
  const made = inLayer(image.written, command('key', 'new', 'example.com/ciphertrail'), container)
  assert.equal(made.status, 0, made.stderr)
  const health = quoted(execForm(image.last('HEALTHCHECK')))
  const line = [
    'id -u; ! touch /app/x 2>/dev/null; ! touch /tmp/x 2>/dev/null',
    `${command(...execForm(image.last('CMD')))} & service=$!`,
    `tries=0; until ${health}; do tries=$((tries+1)); [ $tries -lt 100 ] || exit 9; done`,
    `kill -${image.last('STOPSIGNAL').replace('SIG', '')} $service; wait $service; echo "ended with $?"`,
    `! ${health} || echo healthy without a service`,
  ].join('\n')
  const { status, stdout, stderr } = inLayer(image.written, line, container)
  const [user, ...lines] = stdout.trimEnd().split('\n')
  assert.deepEqual([status, user, lines.at(-1)], [0, '1000', 'ended with 0'], stdout + stderr)
  assert.match(stdout, /"event":"started","url":"http:\/\/0\.0\.0\.0:8080","store":"\/data\/store"/)
  assert.match(stdout, /"event":"sealed","size":1,/)
  assert.deepEqual(readdirSync(join(folder, 'data')).toSorted(), [
    'log.key',
    'log.key.head',
    'log.key.head.lock',
    'store',
  ])
})

test('any other command is run by its name, and what is native in a report works', () => {
  // The replay keeps the answers of its clusters in files that pass.
  const passing = join(folder, 'tmp')
  mkdirSync(passing)
  chownSync(passing, 1000, 1000)
  const mounts = { ...container.mounts, '/tmp': passing }
  const ran = inLayer(image.written, `cd /data && ${command('demo')}`, { ...container, mounts })
  assert.equal(ran.status, 0, ran.stdout + ran.stderr)
  const made = readdirSync(join(folder, 'data/demo-output'), { recursive: true, encoding: 'utf8' })
  assert.ok(
    made.some((name) => name.endsWith('report.pdf')),
    made.join(' '),
  )
})

test('the agent runs from the same image, as whatever user its CronJob names', () => {
  const job = readFileSync(new URL('../../infra/agent/cronjob.yaml', import.meta.url), 'utf8')
  const [, user] = /runAsUser: (\d+)/.exec(job) ?? []
  const [, name = ''] = /args:\n +- (\S+)/.exec(job) ?? []
  const ran = inLayer(image.written, command(name, '--help'), {
    env: image.environment,
    user: `${user}:${user}`,
    isReadOnly: true,
  })
  assert.deepEqual([ran.status, ran.stderr], [0, ''])
  assert.match(ran.stdout, /^Usage: ciphertrail agent/)
})
