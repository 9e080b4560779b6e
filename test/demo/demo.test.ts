import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, test } from 'node:test'
import { start } from '../support/process/command-line.ts'
import { freshFolder } from '../support/recorder.ts'
import { matchesText } from '../support/texts/matches-text.ts'

const ROOT = join(import.meta.dirname, '..', '..')

/** Runs a command in a folder, as a person would. */
function run(folder: string, command: string, ...options: string[]) {
  return spawnSync(command, options, { cwd: folder, encoding: 'utf8', timeout: 300_000 })
}

const runDemo = (folder: string) => run(folder, join(ROOT, 'bin/ciphertrail.js'), 'demo')

describe('ciphertrail demo', () => {
  test('says that it is a replay, what was not encrypted and what was not seen, each command it names works, and an older demo is gone', (context) => {
    const folder = freshFolder(context)
    const old = join(folder, 'demo-output/old')
    mkdirSync(old, { recursive: true })
    writeFileSync(join(folder, 'demo-output/this-is-a-ciphertrail-demo'), '')
    const { status, stdout, stderr } = runDemo(folder)
    assert.deepEqual([status, stderr], [0, ''])
    assert.equal(existsSync(old), false)
    matchesText(stdout)
    assert.match(stdout, /7 windows of 5 minutes, \d+ queries/)
    // The story of the recording's README: voting left the mesh and came back, a new client of ledger-db at the end.
    const rowOf = (words: RegExp) => stdout.split('\n').find((line) => words.test(line)) ?? ''
    matchesText(rowOf(/voting:8080 +until/))
    matchesText(rowOf(/ledger-db:5432/))
    matchesText(stdout)
    const [, notSeen = ''] = stdout.split('\nNot seen\n')
    matchesText(notSeen)
    assert.match(notSeen, /\n4 of 21 workloads have no proxy/)
    assert.ok(!stdout.includes('[U+'))

    assert.match(readFileSync(join(folder, 'demo-output/report.html'), 'utf8'), /This is a replay/)
    matchesText(readFileSync(join(folder, 'demo-output/report.html'), 'utf8'))
    assert.equal(readFileSync(join(folder, 'demo-output/report.pdf')).subarray(0, 5).toString(), '%PDF-')

    const paths = run(folder, join(ROOT, 'bin/ciphertrail.js'), '--store', 'demo-output/store', 'paths', '--json')
    assert.equal(paths.status, 0)
    assert.doesNotMatch(paths.stdout, /window-missing/, 'nothing is expected after the replay')

    matchesText(stdout)

    matchesText(stdout)

    const [, next = ''] = stdout.split('Next, type:\n')
    const commands = next.trim().split('\n')
    assert.equal(commands.length, 8)
    for (const command of commands) {
      const one = run(folder, 'sh', '-c', command)
      assert.equal(one.status, 0, command)
      // Nothing but what commands about its paths say of a replay.
      assert.match(one.stderr, /^(This is a replay of [^\n]+\n)?$/, command)
      assert.notEqual(one.stdout, '', command)
    }
  })

  test('removes nothing but an older demo', (context) => {
    const folder = freshFolder(context)
    const out = join(folder, 'demo-output')
    mkdirSync(out)
    writeFileSync(join(out, 'precious'), 'kept')
    const refused = runDemo(folder)
    assert.equal(refused.status, 1)
    matchesText(refused.stderr)
    assert.deepEqual(readdirSync(out), ['precious'])
  })

  test('does not know options', (context) => {
    const folder = freshFolder(context)
    const unknown = run(folder, join(ROOT, 'bin/ciphertrail.js'), 'demo', '--fast')
    assert.equal(unknown.status, 2)
    matchesText(unknown.stderr)
    assert.deepEqual(readdirSync(folder), [])
  })

  test('with --serve it serves the pages of the replay and those of a synthetic history, which says so, until it is stopped', async (context) => {
    const folder = freshFolder(context)
    const { child } = start(['demo', '--serve'], { folder })
    const lines: string[] = []
    const reader = createInterface({ input: child.stdout ?? assert.fail() })
    reader.on('line', (line) => lines.push(line))
    while (!lines.some((line) => line.startsWith('The synthetic history was made'))) await once(reader, 'line')
    const links = lines.flatMap((line) => /(http:\/\/127\.0\.0\.1:\d+\/enter\/\S+)$/.exec(line)?.[1] ?? [])
    assert.equal(links.length, 2)
    const pages = await Promise.all(
      links.map(async (link) => {
        const entered = await fetch(link, { redirect: 'manual' })
        const cookie = entered.headers.get('set-cookie')?.split(';')[0] ?? ''
        return (await fetch(new URL('/', link), { headers: { cookie } })).text()
      }),
    )
    matchesText(pages[0])
    assert.match(pages[1] ?? '', /SYNTHETIC HISTORY: /)
    assert.doesNotMatch(pages[0] ?? '', /SYNTHETIC/)
    assert.match(pages[1] ?? '', /Not sealed/)
    assert.match(pages[1] ?? '', /4 application paths are unencrypted now \(/)
    child.kill('SIGINT')
    assert.deepEqual(await once(child, 'exit'), [0, null])
  })
})
