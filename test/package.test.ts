import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '..')
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Record<string, unknown>

const packed = (
  JSON.parse(
    execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  ) as [{ files: { path: string }[] }]
)[0].files.map(({ path }) => path)

test('npm may publish the package, with everything that it runs and shows, and nothing else', () => {
  assert.ok(!('private' in manifest))
  const tops = [...new Set(packed.map((path) => path.split('/')[0] ?? ''))].toSorted()
  assert.deepEqual(tops, [
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'bin',
    'cli',
    'demo',
    'docs',
    'infra',
    'lib',
    'package.json',
  ])
  assert.deepEqual(
    packed.filter((path) => /\.test\.|-changed\.|(^|\/)(test|goldens?)\/|\.(key|pem|pcap)$/.test(path)),
    [],
  )
  for (const needed of ['demo/fixtures/edges.ndjson.gz', 'infra/rbac/lists.yaml', 'docs/images/report.png'])
    assert.ok(packed.includes(needed), needed)
})

test('what the packed sources import or read beside themselves is packed', () => {
  const sources = packed.filter((path) => /\.(ts|js)$/.test(path))
  const missing = sources.flatMap((path) => {
    const text = readFileSync(join(ROOT, path), 'utf8')
    const names = [...text.matchAll(/(?:from |import\(|import |new URL\()'(\.\.?\/[^']+)'/g)].map(
      ([, name]) => name ?? '',
    )
    return names
      .map((name) => join(dirname(path), name))
      .filter((name) => !name.endsWith('/') && existsSync(join(ROOT, name)) && !packed.includes(name))
      .filter((name) => !packed.some((one) => one.startsWith(`${name}/`)))
      .map((name) => `${path} needs ${name}`)
  })
  assert.deepEqual(missing, [])
})
