import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { prometheusReplay } from '../../../demo/replay-prometheus.ts'
import { openCluster } from '../../../lib/collect/cluster/open-cluster.ts'
import { CONNECTIONS } from '../../../lib/net/connections.ts'
import { openForward } from '../../../lib/collect/forward/port-forward.ts'
import { toSeconds } from '../../../lib/time/windows.ts'
import type { Snapshot } from '../../../lib/model/snapshot.ts'
import type { Window } from '../../../lib/model/time.ts'
import { directoryObjects } from '../../../lib/store/objects/directory.ts'
import { listAttempts, readSnapshot } from '../../../lib/store/evidence/evidence.ts'
import { evidenceKey } from '../../../lib/store/keys.ts'
import { linesOf, parseNdjson, run } from '../../support/process/command-line.ts'
import { freshFolder } from '../../support/recorder.ts'
import {
  FIXTURE,
  NOTHING,
  TSDB,
  askLine,
  openCollector,
  registered,
  untilAllowed,
  whenSettled,
  windowAt,
} from './collector.ts'
import { startWorld } from './world.ts'
import type { World } from './world.ts'

/** Two clusters, with nothing in common but this machine. */
let first: World
let second: World

before(async () => {
  first = await startWorld({ number: 1, tsdb: TSDB })
  second = await startWorld({ number: 2, tsdb: TSDB })
})
after(async () => {
  await Promise.all([first?.stop(), second?.stop()])
})

/** A token is believed for this long after it expired: clocks differ. */
const LEEWAY_SECONDS = 60

/** An answer of Prometheus as it is read: the order of series is nobody's promise, and 8.540 is 8.54. */
function sortedAnswer(body: string): unknown[] {
  const { data } = z.object({ data: z.object({ result: z.array(z.unknown()) }) }).parse(JSON.parse(body))
  return data.result.map((series) => JSON.stringify(series)).toSorted()
}

/** The latest attempt at a window, as it is stored. */
async function stored(folder: string, cluster: string, window: Window): Promise<Snapshot> {
  const objects = directoryObjects(join(folder, 'ciphertrail-data'))
  const last = (await listAttempts(window, cluster, { objects })).at(-1)
  assert.ok(last, `no attempt at ${window.end} of ${cluster}`)
  return readSnapshot(evidenceKey(last), objects)
}

/** A folder in which the command line knows a world by its kubeconfig alone. */
async function folderOf(context: TestContext, world: World) {
  const folder = freshFolder(context)
  const kubeconfig = join(folder, 'kubeconfig')
  writeFileSync(kubeconfig, world.kubeconfigOf(await world.token()))
  const command = (...args: string[]) => run(args, { folder })
  const added = await command('cluster', 'add', 'real', '--kubeconfig', kubeconfig, '--window', '5m')
  assert.equal(added.code, 0, added.stderr)
  const collect = (window: Window) =>
    command('collect', '--at', window.end, '--now', whenSettled(window), '--timeout', '15')
  return { folder, kubeconfig, command, collect }
}

describe('Port-forward through a real kubelet', () => {
  test('two clusters are collected with nothing but their kubeconfigs, and Prometheus is read as it is', async (context) => {
    const folder = freshFolder(context)
    const command = (...args: string[]) => run(args, { folder })
    for (const [id, world] of [
      ['first', first],
      ['second', second],
    ] as const) {
      writeFileSync(join(folder, id), world.kubeconfigOf(await world.token()))
      assert.equal((await command('cluster', 'add', id, '--kubeconfig', id, '--window', '5m')).code, 0)
      const checked = parseNdjson((await command('cluster', 'check', id, '--json')).stdout)
      // The recording is over, so nothing is scraped now.
      assert.deepEqual(
        checked.filter(({ ok, warning }) => ok !== true || warning !== null).map(({ check }) => check),
        ['it scrapes Linkerd proxies', 'it has their connection counters', 'it has what cAdvisor shows of pods'],
      )
    }
    const windows = [windowAt(2), windowAt(3)]
    for (const window of windows) {
      const { code, stdout, stderr } = await command('collect', '--at', window.end, '--now', whenSettled(window))
      assert.deepEqual([code, stderr], [0, ''])
      assert.match(stdout, /^first .*: complete, .*\nsecond .*: complete, .*\n$/)
    }
    const recorded = await prometheusReplay(FIXTURE.prometheus)
    for (const [id, pod] of [
      ['first', 'prometheus-1'],
      ['second', 'prometheus-2'],
    ] as const) {
      for (const window of windows) {
        const { metrics, kubernetes, complete } = await stored(folder, id, window)
        assert.ok(complete)
        assert.match(metrics.server ?? '', new RegExp(`^pod "linkerd-viz/${pod}" \\([-0-9a-f]{36}\\)$`))
        assert.ok(metrics.answers.length > 20)
        for (const { name, query, time, body } of metrics.answers) {
          const known = recorded('/api/v1/query', new URLSearchParams({ query, time })).body
          assert.deepEqual(sortedAnswer(body), sortedAnswer(known), `${name} at ${time}`)
        }
        const pods = kubernetes.lists.find(({ resource }) => resource === 'pods')?.items ?? []
        assert.match(JSON.stringify(pods), new RegExp(`"name":"${pod}"`))
      }
    }
    const rows = parseNdjson((await command('paths', '--json', '--state', 'not-encrypted')).stdout)
    assert.deepEqual(new Set(rows.map(({ cluster }) => cluster)), new Set(['first', 'second']))
  })

  test('1,000 requests in a row and 50 at once all have their answer, over a few port-forwards', async (context) => {
    const { access } = await openCollector(context, first)
    const ask = async (number: number): Promise<void> => {
      const { body, line } = await askLine(access, new URLSearchParams({ query: `vector(${number})` }))
      assert.match(body ?? line ?? '', new RegExp(`^\\{"status":"success".*,"${number}"\\]\\}\\]\\}\\}$`))
    }
    const start = performance.now()
    for (let number = 0; number < 1_000; number++) await ask(number)
    const inARow = performance.now() - start
    await Promise.all(Array.from({ length: 50 }, (_, number) => ask(number)))
    assert.equal(access.prometheus.servers().length, 1)
    context.diagnostic(`${Math.round(inARow)} ms for 1,000 requests in a row`)
    const held = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length
    assert.ok(held() <= 2 * CONNECTIONS, `${held()} sockets are held`)
    await access.close()
    while (held() > 0) await sleep(10)
  })

  test('an answer of many megabytes comes as it was sent', async (context) => {
    const { access } = await openCollector(context, first)
    const { end } = windowAt(4)
    const large = new URLSearchParams({ query: '{__name__=~".+"}[9m]', time: String(toSeconds(end)) })
    const bodies = await Promise.all([askLine(access, large), askLine(access, large)])
    const [one, other] = bodies.map(({ body }) => body)
    assert.ok(one !== undefined, bodies[0].line)
    assert.ok(one.length > 10_000_000, `only ${one.length} bytes`)
    const resultOf = (body: string): unknown[] =>
      z.object({ data: z.object({ result: z.array(z.unknown()) }) }).parse(JSON.parse(body)).data.result
    assert.ok(resultOf(one).length > 1_000)
    assert.equal(other, one)
    context.diagnostic(`${one.length} bytes`)
  })

  test('a port on which nothing listens, and a pod that is not there, are told by the cluster', async (context) => {
    const { access } = await openCollector(context, first)
    const token = await first.token()
    const ca = z
      .object({ clusters: z.array(z.object({ cluster: z.object({ 'certificate-authority-data': z.string() }) })) })
      .parse(JSON.parse(first.kubeconfigOf(token))).clusters[0]?.cluster['certificate-authority-data']
    const way = {
      base: new URL(first.url),
      tls: { ca: Buffer.from(ca ?? '', 'base64').toString(), rejectUnauthorized: true as const },
      headers: { authorization: `Bearer ${token}` },
      secrets: [token],
    }
    const place = { namespace: 'linkerd-viz', pod: 'prometheus-1', port: 9999 }
    const stream = await openForward(way, place, { timeoutMs: 5_000 })
    await assert.rejects(
      async () => {
        stream.write('GET / HTTP/1.1\r\n\r\n')
        for await (const came of stream) assert.fail(`something came: ${String(came)}`)
      },
      { name: 'UnreachableError', message: /port 9999 failed in the cluster: ".*connection refused/ },
    )
    await assert.rejects(openForward(way, { ...place, pod: 'nobody' }, { timeoutMs: 5_000 }), {
      kind: 'not-found',
      message: /^404 Not Found from the API server, "pods "nobody" not found"$/,
    })
    await assert.rejects(openForward(way, { ...place, namespace: 'shop', pod: 'any' }, { timeoutMs: 5_000 }), {
      kind: 'forbidden',
      message:
        /^403 Forbidden from the API server, "pods "any" is forbidden: User "system:serviceaccount:ciphertrail:ciphertrail" cannot/,
      hint: 'grant "get" on "pods/portforward" in the namespace "shop"',
    })
    assert.ok((await askLine(access)).body)
  })
})

describe('What happens to a real cluster', () => {
  test('a pod of Prometheus that is replaced is told, and collected again', async (context) => {
    const { folder, command, collect } = await folderOf(context, second)
    const { access } = await openCollector(context, second)
    const window = windowAt(1)
    assert.ok((await askLine(access)).body)

    await second.removePod('linkerd-viz', 'prometheus-2')
    // Its last process takes a moment to go: it answers as long as it is there, and then cuts what is under way, or is not ready any more.
    const isGone = / there is no pod with the labels component=prometheus, /
    const lines = new Set<string | undefined>()
    for (const begun = performance.now(); ![...lines].some((line) => isGone.test(line ?? ''));) {
      assert.ok(performance.now() - begun < 60_000, [...lines].join('\n'))
      lines.add((await askLine(access)).line)
    }
    const without = await collect(window)
    assert.equal(without.code, 1)
    assert.match(without.stderr, /^Cannot query the time of cluster "real": there is no pod with the labels .*\n$/)
    const marked = await stored(folder, 'real', window)
    assert.deepEqual([marked.complete, marked.metrics.status, marked.kubernetes.status], [false, 'failed', 'complete'])

    await second.startPrometheus('linkerd-viz', 'prometheus-2')
    assert.ok((await askLine(access)).body)
    assert.equal(access.prometheus.servers().length, 2)
    assert.equal((await collect(window)).code, 0)
    assert.equal((await stored(folder, 'real', window)).complete, true)
    assert.equal((await command('paths', '--json')).code, 0)
  })

  test('a container of Prometheus that is killed is asked again, once the kubelet has started it', async (context) => {
    const { access } = await openCollector(context, first)
    assert.ok((await askLine(access)).body)
    first.killProcess('/prometheus')
    const lines = new Set<string>()
    const start = performance.now()
    for (let isBack = false; !isBack;) {
      const { body, line } = await askLine(access)
      isBack = body !== undefined
      if (line !== undefined) lines.add(line)
      assert.ok(performance.now() - start < 60_000, [...lines].join('\n'))
    }
    // The pod is the same, and so is its data.
    assert.equal(access.prometheus.servers().length, 1)
    context.diagnostic(`${Math.round(performance.now() - start)} ms, with:\n${[...lines].join('\n')}`)
  })

  test('a token that expires is told, and a renewed one in the same kubeconfig is used at once', async (context) => {
    const { access, kubeconfig } = await openCollector(context, first, await first.shortToken(5 - LEEWAY_SECONDS))
    assert.ok((await askLine(access)).body)
    // What is open stays open; a token that it knows is believed for ten seconds more.
    let said: { body?: string; line?: string } = {}
    for (let tries = 0; tries < 10 && said.line === undefined; tries++) {
      await sleep(5_000)
      said = await askLine(access)
    }
    assert.match(
      said.line ?? '',
      /^Cannot query: 401 Unauthorized from the API server, "Unauthorized"; the credentials are wrong or expired, renew those in the kubeconfig$/,
    )
    assert.match(
      (await askLine(access)).line ?? '',
      /^Cannot query: could not read the namespace of linkerd-viz, 401 Unauthorized from the API server, "Unauthorized"; the credentials are wrong or expired, renew those in the kubeconfig$/,
    )
    writeFileSync(kubeconfig, first.kubeconfigOf(await first.token()))
    const renewed = openCluster(registered(kubeconfig), { environment: NOTHING })
    context.after(() => renewed.close())
    assert.ok((await askLine(renewed)).body)
  })

  test('rights that are taken away are named, and what is still allowed is stored', async (context) => {
    const { folder, collect } = await folderOf(context, second)
    const window = windowAt(1)
    const role = second.roles.find(({ metadata }) => metadata.name === 'ciphertrail-prometheus')
    assert.ok(role)
    context.after(() => second.setRules(role, role.rules))
    await second.setRules(role, [])
    await untilAllowed(
      context,
      second,
      { verb: 'get', group: '', resource: 'pods/portforward', namespace: 'linkerd-viz' },
      false,
    )
    const { code, stdout, stderr } = await collect(window)
    assert.equal(code, 1)
    assert.match(stdout, /: incomplete, no path can be told/)
    assert.match(stderr, /403 Forbidden .*; grant "get" on "pods\/portforward" in the namespace "linkerd-viz"\n$/)
    const { metrics, kubernetes } = await stored(folder, 'real', window)
    assert.deepEqual([metrics.status, kubernetes.status], ['failed', 'complete'])
    await second.setRules(role, role.rules)
    await untilAllowed(
      context,
      second,
      { verb: 'get', group: '', resource: 'pods/portforward', namespace: 'linkerd-viz' },
      true,
    )
    assert.equal((await collect(window)).code, 0)
  })

  test('an API server that is killed ends what is under way, in time, and is collected again when it is back', async (context) => {
    const { folder, collect } = await folderOf(context, second)
    const { access } = await openCollector(context, second)
    const window = windowAt(1)
    context.after(() => second.release())
    assert.ok((await askLine(access)).body)
    const slow = new URLSearchParams({ query: '{__name__=~".+"}[25m]', time: String(toSeconds(windowAt(4).end)) })
    const asked = [askLine(access, slow), askLine(access, slow), askLine(access, slow)]
    await sleep(20)
    const start = performance.now()
    second.killApiServer()
    for (const { body, line } of await Promise.all(asked)) assert.ok(body !== undefined || line !== undefined)
    assert.match((await askLine(access)).line ?? '', /the API server at 198\.18\.2\.2:6443 refused the connection/)
    assert.ok(performance.now() - start < 40_000, `${performance.now() - start} ms`)
    const away = await collect(window)
    assert.equal(away.code, 1)
    const [metrics = '', kubernetes = '', ...more] = linesOf(away.stderr)
    assert.match(
      metrics,
      /^Cannot query the time of cluster "real": could not read the namespace of linkerd-viz, the API server/,
    )
    assert.match(
      kubernetes,
      /^Cannot list pods of cluster "real": the API server at 198\.18\.2\.2:6443 refused the connection; /,
    )
    assert.deepEqual(more, [])
    await second.release()
    assert.ok((await askLine(access)).body)
    assert.equal((await collect(window)).code, 0)
    assert.equal((await stored(folder, 'real', window)).complete, true)
  })
})
