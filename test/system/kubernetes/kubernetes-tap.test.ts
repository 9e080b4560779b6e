import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadAll } from 'js-yaml'
import { directoryObjects } from '../../../lib/store/objects/directory.ts'
import { listAttempts, readSnapshot } from '../../../lib/store/evidence/evidence.ts'
import { evidenceKey } from '../../../lib/store/keys.ts'
import type { Snapshot } from '../../../lib/model/snapshot.ts'
import type { Window } from '../../../lib/model/time.ts'
import { linesOf, parseNdjson, run, start } from '../../support/process/command-line.ts'
import { freshFolder } from '../../support/recorder.ts'
import { frameOf, framesOf, tapRecordings } from '../../support/truth/tap-recordings.ts'
import type { TapRecording } from '../../support/truth/tap-recordings.ts'
import { replay } from '../../support/servers/tap-server.ts'
import { TSDB, untilAllowed, whenSettled, windowAt } from './collector.ts'
import { startAggregatedTap } from './tap.ts'
import type { AggregatedTap } from './tap.ts'
import { startWorld } from './world.ts'
import type { World } from './world.ts'

const RIGHTS = join(import.meta.dirname, '../../../infra/rbac/tap.yaml')
const KINDS = ['deployments', 'statefulsets', 'daemonsets'] as const
const recordings = tapRecordings()
const voting = recordings.find(({ workload }) => workload === 'voting') ?? assert.fail('no recording of voting')
const web = recordings.find(({ workload }) => workload === 'web') ?? assert.fail('no recording of web')
const tapVoting = ['tap', 'deploy/voting', '-n', 'emojivoto', '--for', '10s'] as const
const CANNOT = 'Cannot tap deployment "voting" in namespace "emojivoto" of cluster "real": '
const NO_PODS_TEXT = 'no pods to tap for type="deployment" name="voting"'
/** As the tap API says it: an ApiError, whose first field is its text. */
const NO_PODS = frameOf(Buffer.concat([Buffer.from([0x0a, NO_PODS_TEXT.length]), Buffer.from(NO_PODS_TEXT)]))
const grant = (namespace: string): string =>
  `grant "watch" on "deployments/tap" in the API group "tap.linkerd.io" in the namespace "${namespace}"`

type Sample = NonNullable<Snapshot['tap']>
type Manifest = { readonly kind: string; readonly metadata: object }

let world: World
let tap: AggregatedTap | undefined
before(async () => {
  world = await startWorld({ number: 8, tsdb: TSDB })
})
after(async () => {
  await tap?.kill()
  await world?.stop()
})

/** A folder in which the node is a cluster that is registered to be tapped. */
async function registered(context: TestContext): Promise<string> {
  const folder = freshFolder(context)
  writeFileSync(join(folder, 'kubeconfig'), world.kubeconfigOf(await world.token()))
  const added = await run(['cluster', 'add', 'real', '--kubeconfig', 'kubeconfig', '--window', '5m', '--tap', '2s'], {
    folder,
  })
  assert.equal(added.code, 0, added.stderr)
  return folder
}

/** Collects a window as soon as it is over, and what tap told of it. */
async function collect(folder: string, window: Window): Promise<{ stderr: string; sample: Sample }> {
  const { code, stderr } = await run(['collect', '--at', window.end, '--now', whenSettled(window)], { folder })
  assert.equal(code, 0, stderr)
  const objects = directoryObjects(join(folder, 'ciphertrail-data'))
  const last = (await listAttempts(window, 'real', { objects })).at(-1)
  assert.ok(last)
  const snapshot = await readSnapshot(evidenceKey(last), objects)
  assert.equal(snapshot.complete, true)
  assert.ok(snapshot.tap)
  return { stderr, sample: snapshot.tap }
}

/** An API server that learnt of an API a moment ago may cut what it passes on, or take the API for away. */
const UNSETTLED = /in the middle of its answer|: 50\d /

/** As collect, by a folder of its own for each try, until the API server passes on whole answers. */
async function collectSettled(context: TestContext, window: Window, tries = 5): ReturnType<typeof collect> {
  const collected = await collect(await registered(context), window)
  const unsettled = collected.sample.errors.filter((line) => UNSETTLED.test(line))
  if (unsettled.length === 0 || tries === 1) return collected
  context.diagnostic(unsettled.join('\n'))
  await sleep(2000)
  return collectSettled(context, window, tries - 1)
}

/** What cluster check says of the rights to tap: null for one that is there, else what it says of the problem. */
async function checkedRights(folder: string): Promise<unknown[]> {
  const { stdout } = await run(['cluster', 'check', 'real', '--json'], { folder })
  return parseNdjson(stdout).flatMap(({ check, problem }) =>
    String(check).includes('tap.linkerd.io') ? [problem] : [],
  )
}

/** What the collector may do once the rights to tap are bound, in one namespace or in all. */
async function bind(context: TestContext, namespace?: string): Promise<void> {
  for (const manifest of loadAll(readFileSync(RIGHTS, 'utf8')) as Manifest[])
    await world.apply(
      namespace === undefined || manifest.kind === 'ClusterRole'
        ? manifest
        : { ...manifest, kind: 'RoleBinding', metadata: { ...manifest.metadata, namespace } },
    )
  for (const kind of KINDS)
    await untilAllowed(
      context,
      world,
      { verb: 'watch', group: 'tap.linkerd.io', resource: `${kind}/tap`, ...(namespace && { namespace }) },
      true,
    )
}

/** What the server's proxies of a recording saw arrive without mesh TLS: from whom to whom. */
function arrivedClear({ decoded }: TapRecording): string[] {
  const ip = (bits: number): string => [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.')
  return decoded.flatMap(({ http, proxyDirection, source, sourceMeta, destination }) =>
    http.requestInit !== undefined && proxyDirection === 'INBOUND' && sourceMeta.labels?.['tls'] !== 'true'
      ? [`${ip(source.ip.ipv4)} ${ip(destination.ip.ipv4)}:${destination.port}`]
      : [],
  )
}

/** A tap that heard something. For some seconds after its connection was cut, the API server may take the tap API for away: then it is begun again. */
async function begunTap(begin: () => ReturnType<typeof start>, tries = 8): Promise<ReturnType<typeof start>> {
  const tap = begin()
  assert.ok(tap.child.stdout)
  const early = await Promise.race([once(tap.child.stdout, 'data').then(() => null), tap.ended])
  if (early === null) return tap
  assert.ok(tries > 1, early.stderr)
  await sleep(2000)
  return begunTap(begin, tries - 1)
}

describe('The tap API behind a real API server', () => {
  test('is told to be absent, or the right to be missing, by tap, by cluster check and by collect', async (context) => {
    const folder = await registered(context)
    assert.deepEqual(await run(tapVoting, { folder }), {
      code: 1,
      signal: null,
      stdout: '',
      stderr: `${CANNOT}404 Not Found from the API server; the cluster has no tap API, which comes with Linkerd's viz extension ("linkerd viz install")\n`,
    })

    tap = await startAggregatedTap(world)
    const forbidden = await run(tapVoting, { folder })
    assert.deepEqual([forbidden.code, forbidden.stdout, linesOf(forbidden.stderr).length], [1, '', 1])
    assert.ok(forbidden.stderr.startsWith(`${CANNOT}403 Forbidden from the API server, `), forbidden.stderr)
    assert.ok(forbidden.stderr.endsWith(`; ${grant('emojivoto')}\n`), forbidden.stderr)

    const rights = await checkedRights(folder)
    assert.equal(rights.length, KINDS.length)
    for (const [index, kind] of KINDS.entries())
      assert.match(
        String(rights[index]),
        new RegExp(`; grant "watch" on "${kind}/tap" in the API group "tap\\.linkerd\\.io"$`),
      )

    const { stderr, sample } = await collect(folder, windowAt(2))
    assert.deepEqual([sample.status, sample.tapped, sample.sightings], ['failed', [], []])
    assert.ok(sample.errors.length > 1)
    for (const line of sample.errors) assert.match(line, /: 403 Forbidden .*; grant "watch" on "deployments\/tap"/)
    assert.deepEqual(linesOf(stderr).toSorted(), sample.errors)
    assert.equal(tap.asked.length, 0) // the API server let none of it through
  })

  test('is heard with the published right, in one namespace or in all, and no longer than was asked', async (context) => {
    const folder = await registered(context)
    const { asked, answer } = (tap ??= await startAggregatedTap(world))
    await world.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'emojivoto' } })
    await bind(context, 'emojivoto')

    answer(replay(voting.bytes, { sizes: [333], after: 'silence' }))
    let heard = await run(tapVoting, { folder })
    for (let more = 3; more > 0 && UNSETTLED.test(heard.stderr); more--) {
      context.diagnostic(heard.stderr.trim())
      await asked.shift()?.gone
      heard = await run(tapVoting, { folder })
    }
    assert.equal(heard.code, 0, heard.stderr)
    assert.match(heard.stderr, /^16 requests were seen in 10 s: 5 plaintext \(4 on a probe path\), 11 mtls\. /)
    assert.deepEqual(
      linesOf(heard.stdout).map((line) => /^(\w+) +id=(\S+) proxy=(in|out)/.exec(line)?.slice(1)),
      voting.decoded.map(({ http, proxyDirection }) => {
        const [kind, event] =
          http.requestInit !== undefined
            ? ['req', http.requestInit]
            : http.responseInit !== undefined
              ? ['rsp', http.responseInit]
              : ['end', http.responseEnd]
        const { base = 0, stream = '0' } = event?.id ?? {}
        return [kind, `${base}:${stream}`, proxyDirection === 'INBOUND' ? 'in' : 'out']
      }),
    )
    const [one] = asked
    assert.deepEqual(
      [asked.length, one?.path, one?.user],
      [
        1,
        '/apis/tap.linkerd.io/v1alpha1/watch/namespaces/emojivoto/deployments/voting/tap',
        'system:serviceaccount:ciphertrail:ciphertrail',
      ],
    )
    await one?.gone // the API server tells the tap API that nobody listens any more

    answer((response, request) => {
      const how =
        request.url?.includes('/web/') === true
          ? replay(web.bytes, { after: 'silence' })
          : replay(NO_PODS, { headers: { 'linkerd-error': 'Not Found' } })
      how(response, request)
    })
    const inOne = await collectSettled(context, windowAt(3))
    const refused = (sample: Sample) => sample.errors.filter((line) => line.includes('403 Forbidden'))
    assert.equal(inOne.sample.status, 'partial')
    assert.deepEqual(inOne.sample.tapped, [{ kind: 'deployment', namespace: 'emojivoto', name: 'web' }])
    assert.ok(inOne.sample.errors.includes(CANNOT + NO_PODS_TEXT))
    assert.ok(refused(inOne.sample).length > 0)
    assert.ok(refused(inOne.sample).every((line) => !line.includes('emojivoto')))
    const clear = arrivedClear(web)
    assert.ok(clear.length > 0)
    assert.equal(inOne.sample.requests, clear.length)
    assert.deepEqual(
      inOne.sample.sightings.map(({ source, destination, port }) => `${source} ${destination}:${port}`).toSorted(),
      [...new Set(clear)].toSorted(),
    )
    assert.ok(!JSON.stringify(inOne.sample).includes('/api/'))

    await bind(context)
    assert.deepEqual(await checkedRights(folder), [null, null, null])
    const inAll = await collectSettled(context, windowAt(4))
    assert.deepEqual(refused(inAll.sample), [])
    assert.ok(inAll.sample.errors.length > 0)
    assert.deepEqual(
      inAll.sample.errors.filter((line) => !line.includes('no pods to tap')),
      [],
    )
    assert.deepEqual(linesOf(inAll.stderr).toSorted(), inAll.sample.errors)
  })

  test('is no workload without requests when it dies: not before its first event, not in the middle, and not afterwards', async (context) => {
    const folder = await registered(context)
    const { answer, kill } = (tap ??= await startAggregatedTap(world))
    await bind(context)
    const isRunning = 'is the pod of the Deployment tap in the namespace "linkerd-viz" running?\n'

    answer((response) => response.socket?.destroy())
    const before = await run(tapVoting, { folder })
    assert.deepEqual([before.code, before.stdout, linesOf(before.stderr).length], [1, '', 1], before.stderr)
    assert.ok(before.stderr.startsWith(`${CANNOT}50`) && before.stderr.endsWith(isRunning), before.stderr)

    // Between two events, where its end could be taken for the end of the time.
    const whole = framesOf(voting.bytes).slice(0, 9).map(frameOf)
    answer(replay(Buffer.concat(whole), { after: 'silence' }))
    const { ended } = await begunTap(() => start([...tapVoting.slice(0, 4), '--for', '50s'], { folder }))
    await kill()
    const { code, stdout, stderr } = await ended
    assert.deepEqual([code, linesOf(stdout).length], [1, whole.length])
    const [came, line, ...more] = linesOf(stderr)
    assert.deepEqual([came, more], ['What came before: 3 requests', []])
    assert.match(line ?? '', / closed the connection in the middle of its answer; /)
    assert.ok(stderr.endsWith(isRunning), stderr)

    const dead = await run(tapVoting, { folder })
    assert.deepEqual([dead.code, dead.stdout, linesOf(dead.stderr).length], [1, '', 1], dead.stderr)
    assert.ok(dead.stderr.startsWith(`${CANNOT}503 Service Unavailable`) && dead.stderr.endsWith(isRunning))
    const { sample } = await collect(folder, windowAt(5))
    assert.deepEqual([sample.status, sample.tapped], ['failed', []])
    assert.ok(sample.errors.every((error) => error.includes(': 503 Service Unavailable')))
  })
})
