import assert from 'node:assert/strict'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { loadAll } from 'js-yaml'
import { directoryObjects } from '../../../lib/store/objects/directory.ts'
import { listAttempts, readSnapshot } from '../../../lib/store/evidence/evidence.ts'
import { evidenceKey } from '../../../lib/store/keys.ts'
import { parseNdjson, run } from '../../support/process/command-line.ts'
import { freshFolder } from '../../support/recorder.ts'
import { TSDB, untilAllowed, whenSettled, windowAt } from './collector.ts'
import { startWorld } from './world.ts'
import type { World } from './world.ts'

const PACKETS = join(import.meta.dirname, '../../../infra/rbac/packets.yaml')
const RECORDED = readFileSync(join(import.meta.dirname, '../../fixtures/viz/edges-deployment.json'), 'utf8')

let world: World
before(async () => {
  world = await startWorld({ number: 4, tsdb: TSDB })
})
after(() => world?.stop())

/** Processes of this machine that run tshark, or what captures for it, in a container. */
function capturing(): string[] {
  return readdirSync('/proc').filter((id) => {
    try {
      const [command = ''] = readFileSync(`/proc/${id}/cmdline`, 'utf8').split('\0')
      return (
        /(^|\/)(tshark|dumpcap)$/.test(command) &&
        readFileSync(`/proc/${id}/cgroup`, 'utf8').includes(world.folder.split('/').at(-1) ?? '')
      )
    } catch {
      return false // it is gone
    }
  })
}

describe('The checks of the guide on a real node', () => {
  test('what linkerd viz edges shows is kept as the dashboard said it, and packets of a pod are read where the right is given', async (context) => {
    const folder = freshFolder(context)
    writeFileSync(join(folder, 'kubeconfig'), world.kubeconfigOf(await world.token()))
    const command = (...args: string[]) => run(args, { folder })
    assert.equal((await command('cluster', 'add', 'real', '--kubeconfig', 'kubeconfig', '--window', '5m')).code, 0)
    const checked = parseNdjson((await command('cluster', 'check', 'real', '--json')).stdout)
    const viz = checked.find(({ section }) => section === 'linkerd viz edges')
    assert.deepEqual([viz?.['ok'], viz?.['warning']], [true, null])

    const window = windowAt(2)
    const collected = await command('collect', '--at', window.end, '--now', whenSettled(window))
    assert.deepEqual([collected.code, collected.stderr], [0, ''])
    const objects = directoryObjects(join(folder, 'ciphertrail-data'))
    const last = (await listAttempts(window, 'real', { objects })).at(-1)
    assert.ok(last)
    const snapshot = await readSnapshot(evidenceKey(last), objects)
    assert.match(snapshot.viz?.server ?? '', /^pod "linkerd-viz\/web-4" /)
    assert.equal(snapshot.viz?.answers[0]?.body, RECORDED)

    const packets = (pod: string, ...more: string[]) =>
      command('packets', '--pod', `linkerd-viz/${pod}`, '--for', '4s', '--port', '8084', '--json', ...more)
    const forbidden = await packets('web-4')
    assert.equal(forbidden.code, 1)
    assert.match(
      forbidden.stderr,
      /^Cannot capture in pod "linkerd-viz\/web-4" of cluster "real": .*; grant "(get|create)" on "pods\/exec" in the namespace "linkerd-viz"\n$/,
    )
    for (const manifest of loadAll(
      readFileSync(PACKETS, 'utf8').replaceAll('namespace: shop', 'namespace: linkerd-viz'),
    ))
      await world.apply(manifest)
    await untilAllowed(
      context,
      world,
      { verb: 'get', group: '', resource: 'pods/exec', namespace: 'linkerd-viz' },
      true,
    )

    // The kubelet asks the pod each second, in the clear.
    const { code, stdout, stderr } = await packets('web-4', '--save')
    assert.equal(code, 0, stderr)
    assert.match(stderr, /^Kept as evidence: evidence\/packets\/real\/\d{8}T\d{6}Z-[0-9a-f]{16}\.json$/m)
    const flows = parseNdjson(stdout).filter(({ loopback }) => loopback === false)
    const verdicts = new Set(flows.map(({ verdict }) => verdict))
    assert.ok(verdicts.has('clear') && !verdicts.has('tls'), stdout)
    assert.ok(!stdout.includes('pong'))
    assert.deepEqual(capturing(), [])

    // It is sealed as all evidence is, and what is sealed is as it was.
    assert.equal((await command('key', 'new', 'example.com/checks')).code, 0)
    const sealed = await command('seal')
    assert.match(sealed.stdout, /1 capture of packets/, sealed.stderr)
    const log = await command('log', 'check')
    assert.equal(log.code, 0, log.stdout + log.stderr)

    const without = await packets('prometheus-4')
    assert.equal(without.code, 1)
    assert.match(without.stderr, /it has no container "linkerd-debug"; annotate the pods of its workload/)
  })
})
