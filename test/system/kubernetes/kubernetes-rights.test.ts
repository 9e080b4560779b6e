import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { z } from 'zod'
import { askRights } from '../../../lib/collect/cluster/check-rights.ts'
import { checkCluster } from '../../../lib/collect/cluster/check-cluster.ts'
import { collectWindow } from '../../../lib/collect/snapshot.ts'
import { forwardRights, grantText, kubernetesRights } from '../../../lib/collect/cluster/rights.ts'
import type { Right } from '../../../lib/collect/cluster/rights.ts'
import { TSDB, askLine, openCollector, untilAllowed, whenSettled, windowAt } from './collector.ts'
import { startWorld } from './world.ts'
import type { Role, Rule, World } from './world.ts'

let world: World

before(async () => {
  world = await startWorld({ number: 3, tsdb: TSDB })
})
after(() => world?.stop())

/** The rules of a role without one right; undefined where they do not grant it. */
function without({ rules, metadata }: Role, right: Right): Rule[] | undefined {
  let isFound = false
  const left = rules.flatMap((rule): Rule[] => {
    const { apiGroups, resources, resourceNames, verbs } = rule
    const isIt =
      metadata.namespace === right.namespace &&
      apiGroups.includes(right.group) &&
      resources.includes(right.resource) &&
      verbs.includes(right.verb) &&
      (right.name === undefined) === (resourceNames === undefined) &&
      (resourceNames === undefined || resourceNames.includes(right.name ?? ''))
    if (!isIt) return [rule]
    isFound = true
    const others: Rule[] = [
      { ...rule, resources: resources.filter((resource) => resource !== right.resource) },
      { ...rule, resources: [right.resource], verbs: verbs.filter((verb) => verb !== right.verb) },
      ...(resourceNames === undefined
        ? []
        : [
            {
              ...rule,
              resources: [right.resource],
              verbs: [right.verb],
              resourceNames: resourceNames.filter((name) => name !== right.name),
            },
          ]),
    ]
    return others.filter(
      (other) => other.resources.length > 0 && other.verbs.length > 0 && other.resourceNames?.length !== 0,
    )
  })
  return isFound ? left : undefined
}

describe('The published rights, asked of a real API server', () => {
  test('each single right that is taken away is named, exactly, and what the others allow is stored', async (context) => {
    const { cluster, access } = await openCollector(context, world)
    const rights = [...kubernetesRights(cluster), ...forwardRights(cluster, { namespace: 'linkerd-viz' })]
    const window = windowAt(1)
    const options = { collector: { name: 'ciphertrail', version: 'test' }, isReplay: true }
    for (const right of rights) {
      const role = world.roles.find((one) => without(one, right) !== undefined)
      assert.ok(role, `no role grants "${grantText(right)}"`)
      // The lists of all namespaces allow this one, too.
      const isAllowedTwice = right.resource === 'pods' && right.namespace !== undefined
      await world.setRules(role, without(role, right) ?? [])
      if (!isAllowedTwice) await untilAllowed(context, world, right, false)
      try {
        const checks = await checkCluster(cluster, { access, now: () => new Date() })
        const said = checks
          // The recording is over, so nothing is scraped now.
          .filter(({ title }) => !/^it (scrapes|has their|has what cAdvisor)/.test(title))
          .flatMap(({ problem, warning }) => problem ?? warning ?? [])
        const granted = new Set(said.map((line) => line.slice(line.lastIndexOf('; ') + 2)))
        assert.deepEqual([...granted], isAllowedTwice ? [] : [grantText(right)], said.join('\n'))

        const { metrics, kubernetes, complete } = await collectWindow(cluster, window, options, {
          access: (await openCollector(context, world)).access, // that knows no pod yet
          now: () => new Date(whenSettled(window)),
        })
        const isOfWay =
          right.resource === 'pods/portforward' || (right.resource === 'namespaces' && right.verb === 'get')
        // Kubernetes 1.34 does not ask for it yet.
        const isNeeded = !isAllowedTwice && right.verb !== 'create'
        assert.equal(complete, !isNeeded, grantText(right))
        assert.equal(metrics.status === 'complete', !isOfWay || !isNeeded, metrics.errors.join('\n'))
        const errors = isOfWay || !isNeeded ? [] : kubernetes.errors
        assert.equal(kubernetes.errors.length, errors.length)
        for (const line of errors) assert.match(line, /: 403 Forbidden from the API server, /)
        const lists = kubernetes.lists.map(({ resource }) => resource.split('.')[0])
        assert.equal(lists.length, 22 - (isOfWay || !isNeeded ? 0 : 1), lists.join())
      } finally {
        await world.setRules(role, role.rules)
      }
      if (!isAllowedTwice) await untilAllowed(context, world, right, true)
    }
  })

  test('the collector may do what is published, and nothing else: read no Secret, change nothing, reach no other pod', async (context) => {
    const { cluster, access } = await openCollector(context, world)
    await world.startPrometheus('shop', 'other')
    context.after(() => world.removePod('shop', 'other'))

    // Everything that the API server serves, with each verb it knows.
    const resources = await servedResources(world)
    assert.ok(resources.length > 100, `${resources.length} resources`)
    const needed = new Set(
      [...kubernetesRights(cluster), ...forwardRights(cluster, { namespace: 'linkerd-viz' })].map(
        ({ verb, group, resource }) => `${verb} ${resource} ${group}`,
      ),
    )
    // What every user may, by the API server's own roles: ask about themselves.
    const own = /^create (selfsubject(access|rules)reviews authorization|selfsubjectreviews authentication)\.k8s\.io$/
    const verbs = [
      'get',
      'list',
      'watch',
      'create',
      'update',
      'patch',
      'delete',
      'deletecollection',
      'impersonate',
      'escalate',
      'bind',
    ]
    const asked = resources.flatMap(({ group, resource }) =>
      verbs.map((verb) => ({ verb: verb as Right['verb'], group, resource, why: '' })),
    )
    const allowed = (await askRights(access.kubernetes, cluster, asked)).needed.flatMap(({ right, isThere }) =>
      isThere ? [`${right.verb} ${right.resource} ${right.group}`] : [],
    )
    assert.deepEqual(
      allowed.filter((text) => !own.test(text)),
      kubernetesRights(cluster)
        .filter(({ verb, group }) => verb === 'list' && !group.endsWith('linkerd.io'))
        .map(({ verb, group, resource }) => `${verb} ${resource} ${group}`)
        .filter((text) => allowed.includes(text))
        .toSorted((a, b) => allowed.indexOf(a) - allowed.indexOf(b)),
    )
    for (const text of allowed.filter((one) => !own.test(one))) assert.ok(needed.has(text), text)

    // In each namespace, by asking for the thing itself.
    const token = await world.token()
    const as = (method: string, path: string, body?: unknown) => world.askAs(token, method, path, body)
    const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' }, data: {} }
    const refused: [method: string, path: string, body?: unknown][] = [
      ['GET', '/api/v1/secrets'],
      ['GET', '/api/v1/namespaces/linkerd/secrets/linkerd-identity-issuer'],
      ['GET', '/api/v1/namespaces/linkerd/configmaps'],
      ['GET', '/api/v1/namespaces/linkerd/configmaps/other'],
      ['GET', '/api/v1/namespaces/shop/configmaps/linkerd-config'],
      ['GET', '/api/v1/namespaces/shop'],
      ['GET', '/api/v1/pods?watch=1'],
      ['GET', '/api/v1/namespaces/linkerd-viz/pods/prometheus-3'],
      ['GET', '/api/v1/namespaces/linkerd-viz/pods/prometheus-3/log'],
      ['GET', '/api/v1/namespaces/linkerd-viz/pods/prometheus-3:9090/proxy/metrics'],
      ['GET', '/api/v1/namespaces/linkerd-viz/pods/prometheus-3/exec?command=sh'],
      ['GET', '/api/v1/namespaces/shop/pods/other/portforward?ports=9090'],
      ['POST', '/api/v1/namespaces/shop/pods/other/portforward?ports=9090'],
      ['GET', '/api/v1/nodes/node/proxy/pods'],
      ['POST', '/api/v1/namespaces/shop/configmaps', map],
      ['POST', '/api/v1/namespaces/ciphertrail/serviceaccounts/ciphertrail/token', {}],
      ['PATCH', '/api/v1/namespaces/linkerd/configmaps/linkerd-config', { data: {} }],
      ['DELETE', '/api/v1/namespaces/linkerd-viz/pods/prometheus-3'],
      ['DELETE', '/api/v1/namespaces/shop'],
      ['POST', '/api/v1/namespaces/linkerd-viz/pods/prometheus-3/eviction', {}],
    ]
    for (const [method, path, body] of refused)
      assert.equal((await as(method, path, body)).status, 403, `${method} ${path}`)
    for (const path of [
      '/api/v1/pods',
      '/api/v1/namespaces/linkerd/configmaps/linkerd-config',
      '/api/v1/namespaces/linkerd-viz',
    ])
      assert.equal((await as('GET', path)).status, 200, path)
    assert.ok((await askLine(access)).body)
  })
})

const listedSchema = z.object({ resources: z.array(z.object({ name: z.string() })) })

/** Every resource and subresource that an API server serves. */
async function servedResources(world: World): Promise<{ group: string; resource: string }[]> {
  const groups = z
    .object({
      groups: z.array(z.object({ name: z.string(), preferredVersion: z.object({ groupVersion: z.string() }) })),
    })
    .parse((await world.ask('GET', '/apis')).body).groups
  const places = [
    { group: '', path: '/api/v1' },
    ...groups.map(({ name, preferredVersion }) => ({ group: name, path: `/apis/${preferredVersion.groupVersion}` })),
  ]
  const served = await Promise.all(
    places.map(async ({ group, path }) => {
      const { resources } = listedSchema.parse((await world.ask('GET', path)).body)
      return resources.map(({ name }) => ({ group, resource: name }))
    }),
  )
  return served.flat()
}
