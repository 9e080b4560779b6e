import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { freshFolder } from '../support/recorder.ts'
import { startPrometheus } from '../../demo/recorded-prometheus.ts'

/** A packed data directory with one sample of one series. */
function packedTsdb(context: TestContext): string {
  const folder = freshFolder(context)
  writeFileSync(join(folder, 'metrics.txt'), '# TYPE up gauge\nup{pod="web"} 1 1795522200\n# EOF\n')
  execFileSync('promtool', [
    'tsdb',
    'create-blocks-from',
    'openmetrics',
    join(folder, 'metrics.txt'),
    join(folder, 'tsdb'),
  ])
  execFileSync('tar', ['--zstd', '-cf', join(folder, 'tsdb.tar.zst'), '-C', folder, 'tsdb'])
  return join(folder, 'tsdb.tar.zst')
}

const copies = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('ciphertrail-prometheus-'))

test('startPrometheus() answers from a copy of what was recorded, and leaves nothing behind', async (context) => {
  const before = copies()
  const { url, stop } = await startPrometheus(packedTsdb(context))
  const answer = await fetch(`${url}/api/v1/query?query=up&time=1795522200`)
  assert.match(await answer.text(), /"pod":"web"\},"value":\[1795522200,"1"\]/)
  await stop()
  await stop()
  await assert.rejects(fetch(`${url}/-/ready`))
  assert.deepEqual(copies(), before)
})

test('startPrometheus() ends its server with a process that does not stop it', (context) => {
  const module = join(import.meta.dirname, '../../demo/recorded-prometheus.ts')
  const script = `import { startPrometheus } from ${JSON.stringify(module)}
    const { url } = await startPrometheus(${JSON.stringify(packedTsdb(context))})
    console.log(url)
    process.exit(3)`
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
  })
  assert.equal(status, 3)
  return assert.rejects(fetch(`${stdout.trim()}/-/ready`))
})

test('startPrometheus() names what is absent', async () => {
  await assert.rejects(startPrometheus('nowhere.tar.zst', 'no-such-prometheus'), {
    message:
      'Cannot start Prometheus on a recording: "no-such-prometheus" is not installed (apt-get install prometheus)',
  })
  const before = copies()
  await assert.rejects(startPrometheus('nowhere.tar.zst'), /^Error: Cannot unpack "nowhere.tar.zst": .*No such file/)
  assert.deepEqual(copies(), before)
})
