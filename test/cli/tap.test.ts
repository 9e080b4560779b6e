import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, after, before, test } from 'node:test'
import { status } from '../../demo/replay-kubernetes.ts'
import { linesOf, parseNdjson, run, runOnTerminal } from '../support/process/command-line.ts'
import type { Ran } from '../support/process/command-line.ts'
import { freshFolder } from '../support/recorder.ts'
import { shownBelow } from '../support/doc-examples.ts'
import { tapRecordings } from '../support/truth/tap-recordings.ts'
import { TAP_TOKEN, type TapServer, refuse, replay, startTapServer } from '../support/servers/tap-server.ts'
import { matchesText, TEXT } from '../support/texts/matches-text.ts'

const recording = tapRecordings()[1]
assert.ok(recording)

let server: TapServer
before(async () => {
  server = await startTapServer()
})
after(() => server.close())

/** Runs a command in a folder in which the server is cluster `shop`. */
async function registered(context: TestContext): Promise<(...args: string[]) => Promise<Ran>> {
  const folder = freshFolder(context)
  server.writeKubeconfig(join(folder, 'kubeconfig'))
  const added = await run(
    ['cluster', 'add', 'shop', '--kubeconfig', 'kubeconfig', '--prometheus-url', 'http://127.0.0.1:9'],
    { folder },
  )
  assert.equal(added.code, 0, added.stderr)
  return (...args) => run(args, { folder })
}

const web = ['tap', 'deploy/web', '-n', 'emojivoto', '--for', '2s'] as const

test('tap prints a line for each event without authorities and paths, and says what came of it', async (context) => {
  const command = await registered(context)
  server.answer(replay(recording.bytes, { sizes: [333], after: 'silence' }))
  const { code, stdout, stderr } = await command(...web)
  assert.equal(code, 0, stderr)
  assert.equal(linesOf(stdout).length, recording.decoded.length)
  assert.equal(
    stdout.split('\n').slice(0, 12).join('\n'),
    shownBelow('ciphertrail tap deploy/web -n emojivoto | head -12'),
  )
  assert.match(
    stderr,
    /^\d+ requests were seen in 2 s: \d+ plaintext \(\d+ on a probe path\), \d+ mtls\. Only HTTP is tapped, at most 100 requests a second\.\n$/,
  )
  assert.ok(!/:authority=|:path=|\/api\//.test(stdout))
  assert.ok(
    linesOf(stdout).every((line) => /^(req|rsp|end) id=\d+:\d+ proxy=(in |out) src=\S+ dst=\S+ tls=\S+/.test(line)),
  )

  const shown = await command(...web, '--show-paths', '-o', 'wide')
  assert.match(
    shown.stdout,
    / :authority=web\.emojivoto\.svc\.cluster\.local :path=\/api\/vote src_client_id=vote-bot\.emojivoto\./,
  )
})

test('tap --json prints one object for each event, with what it comes to', async (context) => {
  const command = await registered(context)
  server.answer(replay(recording.bytes))
  const { stdout } = await command(...web, '--json')
  const events = parseNdjson(stdout)
  assert.equal(events.length, recording.decoded.length)
  const { source, destination, ...rest } = events[0] ?? {}
  const { metadata, ...address } = source as Record<string, unknown>
  assert.deepEqual(address, { ip: '10.244.0.244', port: 52866 })
  assert.equal((metadata as Record<string, unknown>)['pod'], 'web-f9c88bd6f-mw7pd')
  assert.equal((destination as Record<string, unknown>)['ip'], '10.244.0.245')
  assert.deepEqual(rest, {
    event: 'request',
    proxy: 'out',
    routeMeta: {},
    tls: 'true',
    state: 'mtls',
    probePath: false,
    id: '1:0',
    method: 'GET',
    scheme: 'HTTP',
  })
  assert.ok(!stdout.includes('/api/'))
  assert.equal((await command(...web, '-o', 'json')).stdout, stdout)
  assert.equal(parseNdjson((await command(...web, '--json', '--show-paths')).stdout)[0]?.['path'], '/api/list')
})

test('tap says that nothing was seen where nothing was, and that nothing could be asked where it could not', async (context) => {
  const command = await registered(context)
  server.answer(() => undefined)
  matchesText(await command(...web.slice(0, 4), '--for', '1s', '--max-rps', '5'), {
    code: 0,
    signal: null,
    stdout: '',
    stderr: TEXT,
  })
  server.answer(refuse(status(403, 'Forbidden', 'deployments.tap.linkerd.io "web" is forbidden')))
  const refused = await command(...web)
  assert.deepEqual([refused.code, refused.stdout, linesOf(refused.stderr).length], [1, '', 1])
  matchesText(refused.stderr)
  assert.ok(!refused.stderr.includes(TAP_TOKEN))

  server.answer(replay(recording.bytes, { after: 'cut' }))
  const cut = await command(...web)
  assert.equal(cut.code, 1)
  assert.equal(linesOf(cut.stdout).length, recording.decoded.length)
  matchesText(cut.stderr)
})

test('tap shows plain text in red on a terminal', async (context) => {
  const folder = freshFolder(context)
  server.writeKubeconfig(join(folder, 'kubeconfig'))
  await run(['cluster', 'add', 'shop', '--kubeconfig', 'kubeconfig', '--prometheus-url', 'http://127.0.0.1:9'], {
    folder,
  })
  server.answer(replay(recording.bytes))
  const { stdout } = await runOnTerminal([...web], { folder })
  const red = stdout.split('\u001b[31m').slice(1)
  assert.ok(red.length > 0 && red.every((line) => /^(req|rsp|end) .* tls=no/.test(line.split('\n')[0] ?? '')))
})
