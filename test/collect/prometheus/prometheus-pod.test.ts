import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import { status } from '../../../demo/replay-kubernetes.ts'
import { collectWindow } from '../../../lib/collect/snapshot.ts'
import { serviceOf } from '../../../lib/collect/prometheus/prometheus-pod.ts'
import type { Cluster } from '../../../lib/model/registry.ts'
import { startForwardedPrometheus, vizPod } from '../../support/servers/forwarded-prometheus.ts'
import type { ClusterAccess } from '../../../lib/collect/cluster/cluster-access.ts'
import type { ReplayAnswer } from '../../../demo/replay-answer.ts'

const SHORT = '{"status":"success","data":{"resultType":"vector","result":[]}}'

const parameters = new URLSearchParams({ query: 'up' })
const askUp = (access: ClusterAccess): Promise<string> =>
  access.prometheus.ask('POST', '/api/v1/query', parameters, { what: 'query up of cluster "prod"' })
const lineOf = (access: ClusterAccess): Promise<string> =>
  askUp(access).then(
    (body) => assert.fail(`It was answered: ${body}`),
    (error: unknown) => (error as Error).message.replace(/^Cannot query up of cluster "prod": /, ''),
  )

const ok = (body: object): ReplayAnswer => ({ status: 200, body: JSON.stringify(body) })
const namespace = (address: string): ReplayAnswer =>
  ok({ metadata: { name: 'linkerd-viz', annotations: { 'viz.linkerd.io/external-prometheus': address } } })

/** The pods that were forwarded to, in order. */
const forwardedTo = ({ asked }: { readonly asked: readonly string[] }): (string | undefined)[] =>
  asked
    .map((url) => /namespaces\/(.*)\/portforward\?ports=(\d+)$/.exec(url))
    .flatMap((match) => (match === null ? [] : [`${match[1]}:${match[2]}`]))

describe('The pod of Prometheus', () => {
  test('is the oldest of viz that is ready and has its labels', async (context) => {
    const { serve, open, kubernetes } = await startForwardedPrometheus(context, SHORT)
    const other = { ...(vizPod('web-0') as { metadata: object }) }
    serve({
      pods: [
        'nonsense',
        { ...other, metadata: { ...other.metadata, labels: { component: 'web' } } },
        vizPod('young', { born: '2026-11-24T09:00:00Z' }),
        vizPod('old', { born: '2026-11-24T01:00:00Z' }),
        vizPod('older', { born: '2026-11-24T00:00:00Z', ready: false }),
        vizPod('also-old', { born: '2026-11-24T01:00:00Z' }),
      ] as object[],
    })
    assert.equal(await askUp(open()), SHORT)
    assert.deepEqual(forwardedTo(kubernetes), ['linkerd-viz/pods/also-old:9090'])
    assert.ok(
      kubernetes.asked.includes(
        '/api/v1/namespaces/linkerd-viz/pods?labelSelector=component%3Dprometheus%2Clinkerd.io%2Fextension%3Dviz',
      ),
    )
  })

  test('is one clear line where there is none, none is ready, or it may not be looked for', async (context) => {
    const { serve, open } = await startForwardedPrometheus(context, SHORT)
    const labels = 'with the labels component=prometheus, linkerd.io/extension=viz in the namespace "linkerd-viz"'
    const cases: [change: Parameters<typeof serve>[0], line: RegExp | string][] = [
      [
        { pods: [] },
        `there is no pod ${labels}; is linkerd-viz installed there? Else give --viz-namespace, or the address of another Prometheus with --prometheus-url`,
      ],
      [
        { pods: [vizPod('a', { ready: false })] },
        `no pod ${labels} is ready; wait until Prometheus runs, then collect again`,
      ],
      [
        { answers: { '/api/v1/namespaces/linkerd-viz': status(403, 'Forbidden', 'no') } },
        'could not read the namespace of linkerd-viz, 403 Forbidden from the API server, "no"; grant "get" on "namespaces", with the resource name "linkerd-viz"',
      ],
      [
        { answers: { '/api/v1/namespaces/linkerd-viz': status(404, 'NotFound', 'no') } },
        /^could not read the namespace of linkerd-viz, 404 Not Found .*; is linkerd-viz installed\?/,
      ],
      [
        { answers: { '/api/v1/namespaces/linkerd-viz/pods': status(403, 'Forbidden', 'no') } },
        'could not list the pods of Prometheus, 403 Forbidden from the API server, "no"; grant "list" on "pods" in the namespace "linkerd-viz"',
      ],
      [
        { answers: { '/api/v1/namespaces/linkerd-viz/pods': ok({ kind: 'PodList' }) } },
        /^could not list the pods of Prometheus, the answer of the API server is of another kind; /,
      ],
    ]
    for (const [change, line] of cases) {
      serve({ pods: [vizPod()], answers: {}, ...change })
      const said = await lineOf(open())
      if (typeof line === 'string') assert.equal(said, line)
      else assert.match(said, line)
    }
  })

  test('is looked for again while it starts', async (context) => {
    const { serve, open, kubernetes } = await startForwardedPrometheus(context, SHORT)
    let lists = 0
    serve({
      answers: {
        get '/api/v1/namespaces/linkerd-viz/pods'() {
          return ok({ items: [vizPod('prometheus-0', { ready: lists++ > 0 })] })
        },
      },
    })
    assert.equal(await askUp(open()), SHORT)
    assert.equal(lists, 2)
    assert.equal(forwardedTo(kubernetes).length, 1)
  })

  test('is another one after it was replaced, by the same name or another', async (context) => {
    const { serve, open, kubernetes, carry } = await startForwardedPrometheus(context, SHORT)
    const access = open()
    await askUp(access)
    for (const pod of [vizPod('prometheus-0', { uid: 'second' }), vizPod('prometheus-1')]) {
      serve({ pods: [pod] })
      // What is open goes with the pod.
      carry((socket) => socket.terminate())
      kubernetes.cut()
      await lineOf(access)
      carry(undefined)
      assert.equal(await askUp(access), SHORT)
    }
    assert.deepEqual(access.prometheus.servers(), [
      'pod "linkerd-viz/prometheus-0" (uid-prometheus-0)',
      'pod "linkerd-viz/prometheus-0" (second)',
      'pod "linkerd-viz/prometheus-1" (uid-prometheus-1)',
    ])
  })

  /** A cluster whose viz names another Prometheus, and the answer for its Service. */
  async function startExternal(context: TestContext, address: string, spec: object) {
    const world = await startForwardedPrometheus(context, SHORT)
    const pod = vizPod('prometheus-k8s-0') as { metadata: object }
    world.serve({
      answers: {
        '/api/v1/namespaces/linkerd-viz': namespace(address),
        '/api/v1/namespaces/monitoring/services/prometheus-k8s': ok({ spec }),
        '/api/v1/namespaces/monitoring/pods': ok({
          items: [{ ...pod, metadata: { ...pod.metadata, namespace: 'monitoring', labels: { app: 'prometheus' } } }],
        }),
      },
    })
    return world
  }

  test('is one of the Service that the annotation of viz names, with its port and path', async (context) => {
    const address = 'http://prometheus-k8s.monitoring.svc.cluster.local:80/base/'
    const ports: [port: object, forwarded: string][] = [
      [{ port: 80, targetPort: 9091 }, '9091'],
      [{ port: 80, targetPort: 'admin' }, '9090'],
      [{ port: 80 }, '80'],
    ]
    for (const [port, forwarded] of ports) {
      const spec = { selector: { app: 'prometheus' }, ports: [{ port: 443, targetPort: 1 }, port] }
      const { open, kubernetes, prometheus } = await startExternal(context, address, spec)
      assert.equal(await askUp(open()), SHORT)
      assert.deepEqual(forwardedTo(kubernetes), [`monitoring/pods/prometheus-k8s-0:${forwarded}`])
      assert.equal(prometheus.asked[0]?.path, '/base/api/v1/query')
    }
  })

  test('is never an address outside the cluster on the word of an annotation', async (context) => {
    const hint = 'is no pod of this cluster behind plain HTTP; give its address with --prometheus-url'
    const cases: [address: string, spec: object, line: string][] = [
      [
        'https://user:hunter2@metrics.example.com/p?token=x',
        {},
        `linkerd-viz uses a Prometheus at metrics.example.com that ${hint}`,
      ],
      ['http://169.254.169.254/latest', {}, `linkerd-viz uses a Prometheus at 169.254.169.254 that ${hint}`],
      [
        'https://prometheus-k8s.monitoring.svc',
        {},
        `linkerd-viz uses a Prometheus at prometheus-k8s.monitoring.svc that ${hint}`,
      ],
      ['http://gone.monitoring:9090', {}, `linkerd-viz uses a Prometheus at gone.monitoring:9090 that ${hint}`],
      [
        'http://prometheus-k8s.monitoring',
        { ports: [{ port: 80 }] },
        `linkerd-viz uses a Prometheus at prometheus-k8s.monitoring that ${hint}`,
      ],
      [
        'http://prometheus-k8s.monitoring:81',
        { selector: { app: 'prometheus' }, ports: [{ port: 80 }] },
        `linkerd-viz uses a Prometheus at prometheus-k8s.monitoring:81 that ${hint}`,
      ],
      [
        'http://prometheus-k8s.monitoring',
        { selector: { app: 'prometheus' }, ports: [{ port: 80, targetPort: 'web' }] },
        'the pod "prometheus-k8s-0" has no port "web"; correct the targetPort of its Service',
      ],
      ['nonsense:/', {}, `linkerd-viz uses a Prometheus that ${hint}`],
    ]
    for (const [address, spec, line] of cases) {
      const { open, kubernetes } = await startExternal(context, address, spec)
      assert.equal(await lineOf(open()), line)
      assert.deepEqual(forwardedTo(kubernetes), [])
    }
  })

  test('serviceOf() reads the names of Services, with and without namespace and domain', () => {
    const cases: [address: string, service: string | undefined][] = [
      ['http://prometheus', 'linkerd-viz/prometheus:80'],
      ['prometheus.mon:9090', 'mon/prometheus:9090'],
      ['http://prometheus.mon.svc', 'mon/prometheus:80'],
      ['http://prometheus.mon.svc.cluster.local:9090/a/b//', 'mon/prometheus:9090/a/b'],
      ['http://prometheus.mon.example', undefined],
      ['http://10.0.0.1:9090', undefined],
      ['http://[fe80::1]:9090', undefined],
      ['http://-a.mon', undefined],
      ['http://a..svc', undefined],
      ['', undefined],
    ]
    for (const [address, wanted] of cases) {
      const service = serviceOf(address, 'linkerd-viz')
      const text = service && `${service.namespace}/${service.name}:${service.port}${service.prefix}`
      assert.equal(text, wanted, address)
    }
  })

  test('collectWindow() stores a window as failed where another pod took the place of Prometheus in the middle', async (context) => {
    const { serve, open, kubernetes } = await startForwardedPrometheus(context, (_, asked) => {
      const time = '{"status":"success","data":{"resultType":"scalar","result":[1795525500,"1795525500"]}}'
      return { status: 200, body: asked.get('query') === 'time()' ? time : SHORT }
    })
    const cluster: Cluster = {
      id: 'prod',
      registeredAt: '2026-11-24T00:00:00Z',
      linkerdNamespace: 'linkerd',
      vizNamespace: 'linkerd-viz',
      windows: [{ since: '2026-11-24T00:00:00Z', minutes: 60 }],
    }
    const window = { start: '2026-11-24T12:00:00Z', end: '2026-11-24T13:00:00Z' }
    const options = { collector: { name: 'ciphertrail', version: '0' }, isReplay: true }
    const collect = (progress: (done: number) => void) =>
      collectWindow(cluster, window, options, {
        access: open(),
        now: () => new Date('2026-11-24T13:05:00Z'),
        progress,
      })
    const whole = await collect(() => undefined)
    assert.deepEqual(
      [whole.metrics.status, whole.metrics.server],
      ['complete', 'pod "linkerd-viz/prometheus-0" (uid-prometheus-0)'],
    )
    const { metrics, complete } = await collect((done) => {
      if (done !== 5) return
      serve({ pods: [vizPod('prometheus-1')] })
      kubernetes.cut()
    })
    assert.deepEqual([metrics.status, complete], ['failed', false])
    assert.ok(
      metrics.errors.includes(
        'Cannot trust the answers of Prometheus of cluster "prod": they came from pod "linkerd-viz/prometheus-0" (uid-prometheus-0), then pod "linkerd-viz/prometheus-1" (uid-prometheus-1), wanted one Prometheus for a whole window; collect it again',
      ),
      metrics.errors.join('\n'),
    )
  })
})
