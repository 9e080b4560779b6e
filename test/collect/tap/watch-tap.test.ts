import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, after, before, test } from 'node:test'
import fc from 'fast-check'
import { status } from '../../../demo/replay-kubernetes.ts'
import { openCluster } from '../../../lib/collect/cluster/open-cluster.ts'
import type { OpenOptions } from '../../../lib/collect/cluster/open-cluster.ts'
import { tapEvents } from '../../../lib/collect/tap/watch-tap.ts'
import type { TapEvent, TapTarget } from '../../../lib/observed/tap-events.ts'
import type { Cluster } from '../../../lib/model/registry.ts'
import { freshFolder } from '../../support/recorder.ts'
import { frameOf, framesOf, tapRecordings } from '../../support/truth/tap-recordings.ts'
import { TAP_TOKEN, type TapServer, refuse, replay, startTapServer } from '../../support/servers/tap-server.ts'
import type { ClusterAccess } from '../../../lib/collect/cluster/cluster-access.ts'
import { SourceError } from '../../../lib/net/errors.ts'
import { errorText, matchesText } from '../../support/texts/matches-text.ts'

const [recording] = tapRecordings()
assert.ok(recording)
const { bytes, request, decoded } = recording

const target: TapTarget = { kind: 'deployment', namespace: 'emojivoto', name: 'voting', maxRps: 100 }

let server: TapServer
before(async () => {
  server = await startTapServer()
})
after(() => server.close())

function open(context: TestContext, options: Partial<OpenOptions> = {}): { access: ClusterAccess; cluster: Cluster } {
  const kubeconfig = join(freshFolder(context), 'kubeconfig')
  server.writeKubeconfig(kubeconfig)
  const cluster: Cluster = {
    id: 'shop',
    registeredAt: '2026-11-24T00:00:00Z',
    kubeconfig,
    linkerdNamespace: 'linkerd',
    vizNamespace: 'linkerd-viz',
    windows: [{ since: '2026-11-24T00:00:00Z', minutes: 60 }],
  }
  const environment = { kubeconfig: undefined, home: undefined, serviceHost: undefined, servicePort: undefined }
  const access = openCluster(cluster, { environment, retryDelayMs: 1, ...options })
  context.after(() => access.close())
  return { access, cluster }
}

type Heard = { readonly events: readonly TapEvent[]; readonly line: string | null }

/** The events that came, and the line that ended them; null where they ended well. */
async function listen({ access, cluster }: ReturnType<typeof open>, forMs = 5000, to = target): Promise<Heard> {
  const events: TapEvent[] = []
  try {
    for await (const event of tapEvents(access.kubernetes, cluster, to, { forMs, withPaths: false })) events.push(event)
    return { events, line: null }
  } catch (error) {
    assert.ok(error instanceof SourceError, String(error))
    assert.match(
      error.message,
      /^Cannot tap deployment "voting" in namespace "emojivoto" of cluster "shop": [^\n]+[^.\n]$/,
    )
    assert.ok(!error.message.includes(TAP_TOKEN))
    return { events, line: error.message.replace(/^Cannot tap [^:]+: /, '') }
  }
}

test('tapEvents() asks as linkerd viz tap does, and gives what was recorded', async (context) => {
  server.answer(replay(bytes))
  const { events, line } = await listen(open(context))
  assert.equal(line, null)
  assert.equal(events.length, decoded.length)
  const asked = server.asked.at(-1)
  assert.equal(asked?.path, '/apis/tap.linkerd.io/v1alpha1/watch/namespaces/emojivoto/deployments/voting/tap')
  assert.equal(asked?.body.toString('hex'), request.toString('hex').replace(/2200$/, ''))
})

test('tapEvents() asks for a namespace by its own path, and quotes names in paths', async (context) => {
  server.answer(replay(bytes))
  const opened = open(context)
  const pathOf = async (to: TapTarget): Promise<string | undefined> => {
    await tapEvents(opened.access.kubernetes, opened.cluster, to, { forMs: 5000, withPaths: false }).next()
    return server.asked.at(-1)?.path
  }
  const base = '/apis/tap.linkerd.io/v1alpha1/watch/namespaces'
  assert.equal(await pathOf({ kind: 'namespace', namespace: '', name: 'shop', maxRps: 1 }), `${base}/shop/tap`)
  assert.equal(
    await pathOf({ kind: 'cronjob', namespace: 'a/../b', name: '?x=y', maxRps: 1 }),
    `${base}/a%2F..%2Fb/cronjobs/%3Fx%3Dy/tap`,
  )
})

test('tapEvents() gives the same events in pieces of any size', async (context) => {
  const opened = open(context)
  const short = Buffer.concat(framesOf(bytes).slice(0, 8).map(frameOf))
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 6 }), async (sizes) => {
      server.answer(replay(short, { sizes }))
      const { events, line } = await listen(opened)
      assert.deepEqual([events.length, line], [8, null])
    }),
    { numRuns: 15 },
  )
})

test('tapEvents() gives the whole events of an answer whose server is gone at any point, and says so', async (context) => {
  const opened = open(context)
  const frames = framesOf(bytes).slice(0, 2).map(frameOf)
  const short = Buffer.concat(frames)
  const wholeAt = (length: number): number => {
    let sum = 0
    return frames.filter((frame) => (sum += frame.length) <= length).length
  }
  for (let length = 0; length <= short.length; length += 7) {
    server.answer(replay(short.subarray(0, length), { after: 'cut' }))
    const cut = await listen(opened)
    assert.equal(cut.events.length, wholeAt(length))
    assert.match(
      cut.line ?? '',
      /^the API server at 127\.0\.0\.1:\d+ closed the connection in the middle of its answer; is the pod of the Deployment tap in the namespace "linkerd-viz" running\?$/,
    )

    server.answer(replay(short.subarray(0, length), { after: 'end' }))
    const ended = await listen(opened)
    const isBetween = [0, frames[0]?.length, short.length].includes(length)
    assert.equal(ended.events.length, wholeAt(length))
    assert.equal(
      ended.line,
      isBetween
        ? null
        : 'the answer of the tap API cannot be read: the answer ends within an event; is there a proxy or login page in between?',
    )
  }
})

test('tapEvents() ends well when its time is over, whether events came or not even an answer', async (context) => {
  const opened = open(context)
  server.answer(replay(bytes, { after: 'silence' }))
  assert.deepEqual(await listen(opened, 300).then(({ events, line }) => [events.length, line]), [decoded.length, null])
  server.answer(() => undefined)
  assert.deepEqual(await listen(opened, 300), { events: [], line: null })
})

test('tapEvents() says which right lacks, that there is no tap, and what the tap API itself says', async (context) => {
  const opened = open(context)
  const forbidden =
    'deployments.tap.linkerd.io "voting" is forbidden: User "auditor" cannot watch resource "deployments/tap" in API group "tap.linkerd.io" in the namespace "emojivoto"'
  const noPods =
    'no pods to tap for type="deployment" name="voting"\n1 pods found with tap not enabled:\n\t* voting-1\nrestart these pods to enable tap'
  const error = (text: string): Buffer => {
    const field = Buffer.from(text)
    return frameOf(Buffer.concat([Buffer.from([0x0a, (field.length & 127) | 128, field.length >> 7]), field]))
  }
  const cases: readonly Parameters<TapServer['answer']>[0][] = [
    refuse(status(403, 'Forbidden', forbidden)),
    refuse({
      status: 403,
      body: JSON.stringify({ error: 'tap authorization failed (not authorized to access deployments)' }),
    }),
    refuse(status(404, 'NotFound', 'the server could not find the requested resource')),
    refuse(status(503, 'ServiceUnavailable', 'service unavailable')),
    refuse(status(401, 'Unauthorized', 'Unauthorized')),
    replay(error(noPods), { headers: { 'linkerd-error': 'Not Found' } }),
    replay(Buffer.alloc(0), { headers: { 'linkerd-error': 'Internal Server Error' } }),
    (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<title>Log in</title>'),
    (response) => response.socket?.destroy(),
    replay(Buffer.from('ffffffff00', 'hex')),
    replay(frameOf(Buffer.from('0a05', 'hex'))),
  ]
  for (const how of cases) {
    server.answer(how)
    const heard = await listen(opened)
    matchesText(heard.line)
    assert.equal(heard.events.length, 0)
  }
  server.answer(replay(Buffer.concat([bytes, error('the tap server is shutting down')])))
  const later = await listen(opened)
  assert.deepEqual([later.events.length, later.line], [decoded.length, 'the tap server is shutting down'])
})

test('tapEvents() does not take the silence of a server without tap for a workload without requests', async (context) => {
  server.answer(replay(bytes))
  context.after(() => server.discovery({ status: 200, body: '{}' }))
  const lines: readonly (readonly [Parameters<TapServer['discovery']>[0], RegExp | null])[] = [
    [status(404, 'NotFound', 'the server could not find the requested resource'), /^404 .*has no tap API/],
    [status(503, 'ServiceUnavailable', 'no endpoints'), /^503 .*is the pod of the Deployment tap/],
    [null, /^no answer from the API server at 127\.0\.0\.1:\d+ within 0\.3 s/],
    // Whoever may not look may still be allowed to tap.
    [status(403, 'Forbidden', 'no'), null],
  ]
  for (const [answer, line] of lines) {
    server.discovery(answer)
    // What answers may take as long as a busy machine needs.
    const heard = await listen(open(context, { kubernetesDeadlineMs: answer === null ? 300 : 20_000 }))
    if (line === null) assert.deepEqual([heard.events.length, heard.line], [decoded.length, null])
    else assert.match(heard.line ?? '', line)
  }
})

test('tapEvents() holds no more than an event of an endless answer, and stops at the limit', async (context) => {
  const opened = open(context, { maxBytes: 20_000_000 })
  server.discovery({ status: 200, body: '{}' })
  server.answer((response) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream' })
    const pour = (): void => {
      while (!response.destroyed && response.write(bytes));
    }
    response.on('drain', pour)
    pour()
  })
  let most = 0
  let count = 0
  const before = process.memoryUsage().arrayBuffers
  await assert.rejects(async () => {
    const options = { forMs: 60_000, withPaths: false }
    const events = tapEvents(opened.access.kubernetes, opened.cluster, target, options)
    while ((await events.next()).done !== true) {
      count++
      most = Math.max(most, process.memoryUsage().arrayBuffers - before)
    }
  }, errorText())
  assert.ok(count > 10_000)
  assert.ok(most < 60_000_000, `${most} bytes`)
})

test('tapEvents() leaves no connection open when nobody listens any more', async (context) => {
  const opened = open(context)
  let closed: Promise<void> | undefined
  server.answer((response, incoming) => {
    closed = new Promise((done) => {
      incoming.socket.once('close', () => done())
    })
    replay(bytes, { after: 'silence' })(response, incoming)
  })
  const events = tapEvents(opened.access.kubernetes, opened.cluster, target, { forMs: 60_000, withPaths: false })
  await events.next()
  await events.return(undefined)
  await closed
})
