import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import { status } from '../../../demo/replay-kubernetes.ts'
import { openCluster } from '../../../lib/collect/cluster/open-cluster.ts'
import { PACKET_FIELDS } from '../../../lib/observed/packet-rows.ts'
import type { PacketRow } from '../../../lib/observed/packet-rows.ts'
import { capturePod, findCapturePlace } from '../../../lib/collect/packets/pod-capture.ts'
import type { PodCaptureOptions } from '../../../lib/collect/packets/pod-capture.ts'
import { CaptureError } from '../../../lib/collect/packets/tshark.ts'
import type { Cluster } from '../../../lib/model/registry.ts'
import { type ExecDecision, type WantedCommand, execMessage, runHere } from '../../support/servers/exec-server.ts'
import { startKubernetesServer } from '../../support/servers/kubernetes-server.ts'
import { freshFolder } from '../../support/recorder.ts'
import type { ReplayAnswer } from '../../../demo/replay-answer.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const cluster: Cluster = {
  id: 'prod',
  registeredAt: '2026-11-24T00:00:00Z',
  linkerdNamespace: 'linkerd',
  vizNamespace: 'linkerd-viz',
  windows: [{ since: '2026-11-24T00:00:00Z', minutes: 60 }],
}

const POD = {
  metadata: { name: 'web-0', namespace: 'shop', uid: 'uid-1' },
  spec: { nodeName: 'node-1', containers: [{ name: 'web' }, { name: 'linkerd-debug' }] },
  status: { phase: 'Running', podIP: '10.1.0.7', podIPs: [{ ip: '10.1.0.7' }, { ip: 'fd00::7' }] },
}

const listed = (...items: unknown[]): ReplayAnswer => ({ status: 200, body: JSON.stringify({ items }) })

/** A line of tshark about a packet of one client. */
const line = (number: number): string => {
  const known: Readonly<Record<string, string>> = {
    'frame.number': String(number),
    'frame.time_epoch': '1795522160.5',
    'frame.len': '100',
    'frame.cap_len': '100',
    'frame.protocols': 'sll:ip:tcp',
    'ip.src': '10.1.0.9',
    'ip.dst': '10.1.0.7',
    'tcp.srcport': '40000',
    'tcp.dstport': '8080',
    'tcp.flags': '0x0018',
    'tcp.seq_raw': '1',
    'tcp.ack_raw': '1',
    'tcp.len': '4',
    'tcp.payload': '01020304',
  }
  return PACKET_FIELDS.map((field) => known[field] ?? '').join('\t')
}

/** A cluster with such pods, whose commands end as told. */
async function startPods(context: TestContext, pods: ReplayAnswer, run: (wanted: WantedCommand) => ExecDecision) {
  const kubernetes = await startKubernetesServer(() => pods, '2026-11-24T12:00:00Z')
  context.after(() => kubernetes.close())
  kubernetes.run(run)
  const kubeconfig = join(freshFolder(context), 'config')
  kubernetes.writeKubeconfig(kubeconfig)
  const environment = { kubeconfig: undefined, home: undefined, serviceHost: undefined, servicePort: undefined }
  const access = openCluster({ ...cluster, kubeconfig }, { environment, retryDelayMs: 1, kubernetesDeadlineMs: 20_000 })
  context.after(() => access.close())
  const capture = async (options: PodCaptureOptions = { seconds: 1 }) => {
    const rows: PacketRow[] = []
    try {
      const place = await findCapturePlace(access, cluster, { namespace: 'shop', name: 'web-0' })
      for await (const row of capturePod(access, cluster, place, options)) rows.push(row)
      return { place, rows, said: null }
    } catch (error) {
      assert.ok(error instanceof CaptureError, String(error))
      const start = 'Cannot capture in pod "shop/web-0" of cluster "prod": '
      assert.ok(error.message.startsWith(start), error.message)
      return { place: null, rows, said: error.message.slice(start.length) }
    }
  }
  return { capture, asked: kubernetes.asked }
}

const shell = (script: string) => (): ExecDecision => runHere(['sh', '-c', script])

describe('A capture in a pod', () => {
  test('is what tshark says in its debug container, which is asked to end by itself', async (context) => {
    let wanted: WantedCommand | undefined
    const { capture, asked } = await startPods(context, listed('nonsense', POD), (asking) => {
      wanted = asking
      return runHere(['printf', '%s\\n', line(1), line(2), 'cut'])
    })
    const { place, rows } = await capture({ seconds: 30, port: 8080 })
    assert.deepEqual(place, {
      namespace: 'shop',
      pod: 'web-0',
      uid: 'uid-1',
      container: 'linkerd-debug',
      node: 'node-1',
      addresses: ['10.1.0.7', 'fd00::7'],
    })
    assert.deepEqual(
      rows.map(({ destination, payload }) => [destination.port, payload]),
      [
        [8080, 4],
        [8080, 4],
      ],
    )
    assert.equal(asked[0], '/api/v1/namespaces/shop/pods?fieldSelector=metadata.name%3Dweb-0')
    assert.equal(wanted?.container, 'linkerd-debug')
    const command = wanted.command.join(' ')
    assert.match(command, / -a duration:30 .* -f port 8080 /)
    assert.match(command, /^sh -c .*exec tshark "\$@"/s)
    // Some proxies in front of API servers take no longer line than this.
    assert.ok(asked.every((url) => url.length < 6_000))
  })

  test('says how to get a debug container, and what else is in the way', async (context) => {
    const without = { ...POD, spec: { containers: [{ name: 'web' }] } }
    const cases: ReplayAnswer[] = [
      listed(without),
      listed(),
      listed({ ...POD, status: { phase: 'Pending' } }),
      status(403, 'Forbidden', 'pods is forbidden'),
    ]
    for (const pods of cases) {
      const { capture } = await startPods(context, pods, () => assert.fail('nothing is to run'))
      matchesText((await capture()).said)
    }
    const asSidecar = { ...POD, spec: { containers: [{ name: 'web' }], initContainers: [{ name: 'linkerd-debug' }] } }
    const { capture } = await startPods(context, listed(asSidecar), shell('true'))
    assert.equal((await capture()).said, null)
  })

  test('says why tshark did not run to its end, after the packets that came', async (context) => {
    const one = `printf '%s\\n' '${line(1)}'; `
    const cases: [script: string, rows: number][] = [
      ['exit 127', 0],
      [
        "echo 'Running as user root' >&2; echo 'tshark: Couldn’t run dumpcap' >&2; echo '0 packets captured' >&2; exit 2",
        0,
      ],
      [`${one}exit 1`, 1],
    ]
    for (const [script, count] of cases) {
      const { capture } = await startPods(context, listed(POD), shell(script))
      const { rows, said } = await capture()
      matchesText(said)
      assert.equal(rows.length, count)
    }
    const { capture: cut } = await startPods(context, listed(POD), () => (socket) => {
      socket.send(execMessage(1, `${line(1)}\n`))
      socket.close()
    })
    matchesText((await cut()).said)
    const { capture: forbidden } = await startPods(context, listed(POD), () =>
      status(403, 'Forbidden', 'User "x" cannot get resource "pods/exec"'),
    )
    matchesText((await forbidden()).said)
  })

  test('does not wait for a tshark that does not end', async (context) => {
    const { capture } = await startPods(context, listed(POD), shell(`printf '%s\\n' '${line(1)}'; exec sleep 300`))
    const began = performance.now()
    const { rows, said } = await capture({ seconds: 1, graceMs: 500 })
    assert.ok(performance.now() - began < 30_000)
    matchesText(said)
    assert.equal(rows.length, 1)
  })
})
