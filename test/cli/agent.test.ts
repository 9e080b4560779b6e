import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import { loadAll } from 'js-yaml'
import { plan } from '../../lib/jobs/plan-collection.ts'
import { collectDue } from '../../lib/jobs/collect-window.ts'
import { windowKey } from '../../lib/store/keys.ts'
import { addCluster } from '../../lib/store/registry/registry.ts'
import { run } from '../support/process/command-line.ts'
import type { Ran } from '../support/process/command-line.ts'
import { addArguments, startDemoMesh } from '../support/mesh/demo-mesh.ts'
import type { DemoMesh } from '../support/mesh/demo-mesh.ts'
import { policyOfDocs } from '../support/aws/iam-policy.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'
import { freshFolder } from '../support/recorder.ts'
import { startS3Server } from '../support/servers/s3-server.ts'
import type { S3Server } from '../support/servers/s3-server.ts'
import { toldCluster, toldTime, toldWindow } from '../support/stored/told-cluster.ts'
import { collectAsAgent } from '../../lib/jobs/collect-as-agent.ts'
import { newRegistration } from '../../lib/store/registry/registration.ts'
import { matchesText, TEXT } from '../support/texts/matches-text.ts'

const EVIDENCE = 'acme-evidence'
const DERIVED = 'acme-derived'
const STORE = `s3://${EVIDENCE}/ciphertrail?derived=${DERIVED}/ciphertrail`

let mesh: DemoMesh
let server: S3Server

before(async () => {
  mesh = await startDemoMesh()
  server = await startS3Server()
  server.makeBucket(EVIDENCE)
  server.makeBucket(DERIVED, { hasLock: false })
})
after(() => Promise.all([mesh.close(), server.close()]))
afterEach(() => server.permit(() => true))

/** The agent, as it is where nothing of its cluster is registered. */
function agent(now: string, ...more: string[]): Promise<Ran> {
  const way = ['--kubeconfig', mesh.kubeconfig, '--prometheus-url', mesh.prometheus.url]
  return run(['agent', '--cluster', 'prod', '--window', '5m', ...way, '--now', now, ...more], {
    folder: mesh.folder,
    env: { ...server.env, CIPHERTRAIL_STORE: `s3://${EVIDENCE}/ciphertrail` },
  })
}

const nowOf = (options: readonly string[]): string => options[options.indexOf('--now') + 1] ?? ''

describe('ciphertrail agent', () => {
  test('stores the attempts of its own cluster with the policy of the documentation, and the service tells what a collector would', async (context) => {
    const policy = policyOfDocs('agent')
    server.permit(policy.allows)
    const windows = mesh.windows.slice(0, 3)
    for (const window of windows) {
      const { code, stdout, stderr } = await agent(nowOf(mesh.optionsAt(window)))
      assert.deepEqual([code, stderr], [0, ''])
      assert.match(
        stdout,
        new RegExp(`^prod .* to ${window.end}: complete, stored as evidence/[^/]+/prod/0001\\.json\\.gz\\n$`, 'm'),
      )
    }
    const last = nowOf(mesh.optionsAt(windows.at(-1) ?? mesh.windows[0] ?? { start: '', end: '' }))
    matchesText((await agent(last)).stdout)
    assert.deepEqual(policy.unused(), [])
    const keys = [...(server.buckets.get(EVIDENCE)?.keys() ?? [])]
    assert.ok(keys.length >= 3)
    assert.ok(
      keys.every((key) => /^ciphertrail\/evidence\/[^/]+\/prod\/0001\.json\.gz$/.test(key)),
      keys.join('\n'),
    )
    assert.equal(server.buckets.get(DERIVED)?.size, 0)

    // The service, elsewhere: it knows of the cluster that an agent collects it.
    server.permit(() => true)
    const elsewhere = { folder: freshFolder(context), now: mesh.now, env: { ...server.env, CIPHERTRAIL_STORE: STORE } }
    const command = (...args: string[]) => run(args, elsewhere)
    const added = await command('cluster', 'add', 'prod', '--agent', '--window', '5m')
    matchesText(added.stdout)
    assert.match((await command('cluster', 'list')).stdout, / agent +port-forward +off\n$/)
    matchesText(await command('collect'), { code: 0, signal: null, stdout: TEXT, stderr: '' })
    const refused = await command('collect', '--at', windows[0]?.end ?? '')
    matchesText(refused.stderr)
    assert.equal(refused.code, 1)
    matchesText((await command('cluster', 'check', 'prod')).stderr)

    const period = ['--from', windows[0]?.start ?? '', '--to', windows.at(-1)?.end ?? '', '--json']
    const byAgent = await command('paths', ...period)
    assert.equal((await mesh.run(...addArguments(mesh))).code, 0)
    for (const window of windows) assert.equal((await mesh.run('collect', ...mesh.optionsAt(window))).code, 0)
    const byCollector = await mesh.run('paths', ...period)
    const rows = (text: string): unknown[] =>
      text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line.replaceAll('"cluster":"shop"', '"cluster":"prod"')) as Record<string, unknown>)
        .map(({ source, destination, port, state, outcome, reason, from, to }) => ({
          source,
          destination,
          port,
          state,
          outcome,
          reason,
          from,
          to,
        }))
        .map((row) => JSON.stringify(row))
        .toSorted()
    assert.ok(rows(byAgent.stdout).length > 20)
    assert.deepEqual(rows(byAgent.stdout), rows(byCollector.stdout))
  })

  test('its policy lets it neither write over an attempt, nor read or write anything else', () => {
    const { allows } = policyOfDocs('agent')
    const at = (key: string): string => `arn:aws:s3:::${EVIDENCE}/ciphertrail/${key}`
    const own = 'evidence/20261124T120000Z-20261124T130000Z/prod/0001.json.gz'
    const locked = { lockMode: 'GOVERNANCE', lockedDays: 395 }
    assert.ok(allows('s3:PutObject', at(own), { ifNoneMatch: '*', ...locked }))
    assert.ok(allows('s3:PutObjectRetention', at(own), locked))
    assert.ok(!allows('s3:PutObject', at(own), locked))
    assert.ok(!allows('s3:PutObject', at(own), { ifNoneMatch: '*' }))
    // Nobody could end such a lock, or it ends before anybody looks.
    for (const lock of [
      { ...locked, lockMode: 'COMPLIANCE' },
      { ...locked, lockedDays: 36_500 },
      { ...locked, lockedDays: 399 },
      { ...locked, lockedDays: 1 },
      {},
    ])
      for (const action of ['s3:PutObject', 's3:PutObjectRetention'])
        assert.ok(!allows(action, at(own), { ifNoneMatch: '*', ...lock }), `${action} ${JSON.stringify(lock)}`)
    assert.ok(!allows('s3:DeleteObject', at(own)))
    const others = [
      own.replace('/prod/', '/prod2/'),
      own.replace('/prod/', '/other/'),
      'evidence/packets/prod/20261124T120000Z-0123456789abcdef.json',
      'evidence/packets/prod/0001.json.gz',
      'evidence/20261124T120000Z-20261124T130000Z/prod/0001.json',
      'evidence/20261124T120000Z-20261124T130000Z/prod/other/0001.json.gz',
      'registry/clusters.json',
      'changes/clusters/000001.json',
      'log/checkpoint',
      'state/prod.json',
      'windows/prod/x.json',
    ]
    for (const key of others)
      for (const action of ['s3:GetObject', 's3:PutObject', 's3:PutObjectRetention'])
        assert.ok(!allows(action, at(key), { ifNoneMatch: '*', ...locked }), `${action} ${key}`)
    const bucket = `arn:aws:s3:::${EVIDENCE}`
    assert.ok(
      allows('s3:ListBucket', bucket, { prefix: 'ciphertrail/evidence/20261124T120000Z-20261124T130000Z/prod/' }),
    )
    for (const prefix of ['', 'ciphertrail/', 'ciphertrail/evidence/', 'ciphertrail/evidence/packets/prod/', undefined])
      assert.ok(!allows('s3:ListBucket', bucket, { prefix }), prefix)
    assert.ok(!allows('s3:ListBucket', `arn:aws:s3:::${DERIVED}`, { prefix: 'ciphertrail/evidence/x/prod/' }))
  })

  test('a command line that names no cluster, or no way, is refused in one line', async (context) => {
    const folder = freshFolder(context)
    for (const args of [
      ['agent'],
      ['agent', '--cluster', 'A b'],
      ['agent', '--cluster', 'a', '--no-prometheus', '--proxies', 'off'],
      ['agent', '--cluster', 'a', '--proxies', 'some'],
    ] as const) {
      const { code, stderr } = await run(args, { folder })
      assert.equal(code, 2)
      matchesText(stderr, TEXT, args)
    }
  })
})

describe('The agent and the service', () => {
  const collector = { name: 'ciphertrail', version: '0.0.0' }
  const settings = { id: 'told', windowMinutes: 5 }

  test('an incomplete attempt is made again after a quarter of an hour, and a complete one never', async () => {
    const objects = memoryObjects()
    const state: { now: number; is: 'up' | 'partial' | 'down' } = { now: 0, is: 'up' }
    const { access } = toldCluster(
      () => toldTime(state.now),
      () => state.is,
    )
    const collected = async (index: number): Promise<string[]> => {
      state.now = index
      const now = () => toldTime(index)
      const cluster = newRegistration(settings, now())
      const ends: string[] = []
      for await (const { window, complete } of collectAsAgent(
        cluster,
        { collector, now, isReplay: true },
        { objects, access },
      ))
        ends.push(`${window.end} ${complete}`)
      return ends
    }
    const end = (index: number): string => toldWindow(index).end
    await collected(0)
    assert.deepEqual(await collected(1), [`${end(1)} true`])
    assert.deepEqual(await collected(1), [])
    state.is = 'partial'
    assert.deepEqual(await collected(2), [`${end(2)} false`])
    assert.deepEqual(await collected(3), [`${end(3)} false`])
    state.is = 'up'
    assert.deepEqual(await collected(4), [`${end(4)} true`])
    // Window 2 was tried a quarter of an hour ago.
    assert.deepEqual(await collected(5), [`${end(5)} true`, `${end(2)} true`])
  })

  test('what an agent stored is asked for once, so that it is derived, and nothing is ever collected from its cluster', async () => {
    const objects = memoryObjects()
    await addCluster({ ...settings, agent: true }, { now: toldTime(0), by: 'ada' }, { objects })
    const { access } = toldCluster(() => toldTime(2))
    const now = () => toldTime(2)
    assert.deepEqual((await plan({ now: now() }, { objects })).due, [])
    const cluster = newRegistration(settings, now())
    for await (const { complete } of collectAsAgent(cluster, { collector, now, isReplay: true }, { objects, access }))
      assert.equal(complete, true)
    const planned = await plan({ now: now() }, { objects })
    assert.deepEqual(planned.errors, [])
    assert.deepEqual(planned.due, [{ cluster: 'told', window: toldWindow(2), attempt: 1 }])
    const open = () => assert.fail('the cluster was opened')
    for (const message of planned.due) {
      const outcome = await collectDue(message, { collector, now }, { objects, open })
      assert.equal(outcome.outcome, 'stored-before')
    }
    assert.ok((await objects.get(windowKey('told', toldWindow(1)))) !== undefined)
    assert.deepEqual((await plan({ now: now() }, { objects })).due, [])
  })

  test('whoever derives from what an agent stored says whether it is complete: nobody else could', async () => {
    const objects = memoryObjects()
    await addCluster({ ...settings, agent: true }, { now: toldTime(0), by: 'ada' }, { objects })
    const told: (boolean | null)[] = []
    for (const [index, is] of [
      [1, 'up'],
      [2, 'partial'],
    ] as const) {
      const now = () => toldTime(index)
      const { access } = toldCluster(now, () => is)
      const cluster = newRegistration(settings, now())
      for await (const { key } of collectAsAgent(cluster, { collector, now, isReplay: true }, { objects, access }))
        assert.ok(key)
      for (const message of (await plan({ now: now() }, { objects })).due) {
        const outcome = await collectDue(message, { collector, now }, { objects, open: () => assert.fail('opened') })
        told.push(outcome.outcome === 'stored-before' ? outcome.complete : null)
      }
    }
    assert.deepEqual(told, [true, false])
  })
})

test('the manifest of the agent asks for no right beyond its own, and runs without any', () => {
  const manifests = loadAll(readFileSync(join(import.meta.dirname, '../../infra/agent/cronjob.yaml'), 'utf8')) as {
    readonly kind: string
    readonly spec: Record<string, unknown>
  }[]
  assert.deepEqual(
    manifests.map(({ kind }) => kind),
    ['CronJob', 'AuthorizationPolicy'],
  )
  type Template = { readonly metadata: object; readonly spec: Record<string, unknown> }
  const [cronJob] = manifests as unknown as [{ spec: { jobTemplate: { spec: { template: Template } } } }]
  const pod = cronJob.spec.jobTemplate.spec.template
  const { containers, securityContext, serviceAccountName } = pod.spec as {
    containers: { args: string[]; securityContext: object }[]
    securityContext: { runAsNonRoot: boolean; runAsUser: number }
    serviceAccountName: string
  }
  assert.equal(serviceAccountName, 'ciphertrail')
  assert.equal(securityContext.runAsNonRoot, true)
  assert.ok(securityContext.runAsUser > 0)
  const [container, ...others] = containers
  assert.deepEqual(others, [])
  assert.deepEqual(container?.securityContext, {
    readOnlyRootFilesystem: true,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
  })
  assert.match(JSON.stringify(pod.metadata), /"linkerd\.io\/inject":"enabled"/)
  assert.ok(!JSON.stringify(manifests).includes('hostPath') && !JSON.stringify(manifests).includes('Secret'))
  assert.equal(container?.args[0], 'agent')
})
