import { LISTINGS, splitResource } from '../../../lib/collect/kubernetes/listings.ts'
import { SETTLE_SECONDS, toSeconds, toTime } from '../../../lib/time/windows.ts'
import type { Snapshot } from '../../../lib/model/snapshot.ts'
import type { Window } from '../../../lib/model/time.ts'
import { snapshotOf } from './sealed-store.ts'
import { pod, WINDOW } from '../mesh/synthetic-pods.ts'
import { NO_DISCOVERY, outbound, tcp } from '../mesh/synthetic-prometheus.ts'
import type { ClusterAccess } from '../../../lib/collect/cluster/cluster-access.ts'
import { SourceError } from '../../../lib/net/errors.ts'

const MINUTES = 5

/** The window number `index` of {@link toldCluster}: five minutes, the first is {@link WINDOW}. */
export function toldWindow(index: number): Window {
  const start = toSeconds(WINDOW.start) + index * MINUTES * 60
  return { start: toTime(start), end: toTime(start + MINUTES * 60) }
}

/** When a window can first be collected. */
export function toldTime(index: number): Date {
  return new Date((toSeconds(toldWindow(index).end) + SETTLE_SECONDS) * 1000)
}

export type ToldCluster = {
  readonly access: ClusterAccess
  /** How often a window was begun to be collected. */
  readonly begun: () => number
}

const kept = new Map<number, Snapshot>()

const web = pod('deployment/web')
const api = pod('deployment/api', { meshed: false })
const mesh = { pods: [web, api], counters: tcp(web, outbound(api, 8080, NO_DISCOVERY)) }

function told(index: number): Snapshot {
  const snapshot = kept.get(index) ?? snapshotOf('told', index, {}, mesh)
  kept.set(index, snapshot)
  return snapshot
}

/**
 * A way into a cluster that goes on for ever and always looks alike: two workloads, of which one is not meshed and is called by the other. Answers from memory, without
 * sockets, so that thousands of collections can be told. Where it is down, neither source answers; where it is `partial`, its API server does not.
 *
 * @param now the time that its Prometheus has, and at which its lists are made
 */
export function toldCluster(now: () => Date, state: () => 'up' | 'partial' | 'down' = () => 'up'): ToldCluster {
  let begun = 0
  const refuse = (source: 'metrics' | 'kubernetes', what: string) =>
    Promise.reject(new SourceError({ source, what }, 'connection', 'nobody answers'))
  const indexAt = (seconds: number) => Math.ceil((seconds - toSeconds(WINDOW.start)) / (MINUTES * 60)) - 1
  const access: ClusterAccess = {
    proxyPage: () => Promise.reject(new Error('no proxy of this cluster can be read')),
    prometheus: {
      servers: () => [],
      ask(_method, _path, parameters, { what }) {
        const query = parameters.get('query') ?? ''
        if (query === 'time()') begun++
        if (state() === 'down') return refuse('metrics', what)
        if (query === 'time()') return Promise.resolve(answer('scalar', [0, String(now().getTime() / 1000)]))
        const time = Number(parameters.get('time'))
        for (const index of [
          indexAt(time),
          indexAt(time) - 1,
          indexAt(time) + 1,
          indexAt(time) + 2,
          indexAt(time) + 3,
        ]) {
          const found = told(index).metrics.answers.find((one) => one.query === query && Number(one.time) === time)
          if (found !== undefined) return Promise.resolve(found.body)
        }
        return Promise.resolve(answer('vector', []))
      },
    },
    kubernetes: {
      get(path, { what }) {
        if (state() !== 'up') return refuse('kubernetes', what)
        const plural = path.replace(/\?.*/, '').split('/').at(-1)
        const listing = LISTINGS.find(({ resource }) => splitResource(resource)[0] === plural)
        if (listing === undefined)
          return Promise.reject(
            new SourceError({ source: 'kubernetes', what }, 'not-found', 'there is none', { status: 404 }),
          )
        const { lists } = told(indexAt(now().getTime() / 1000 - SETTLE_SECONDS)).kubernetes
        const items = lists.find(({ resource }) => resource === listing.resource)?.items ?? []
        return Promise.resolve({ kind: `${listing.kind}List`, items })
      },
      review: (_path, _question, { what }) => refuse('kubernetes', what),
      stream: (_path, _body, _forMs, { what }) => refuse('kubernetes', what),
    },
    viz: null,
    exec: () => Promise.reject(new Error('Nothing runs here')),
    close: () => Promise.resolve(),
  }
  return { access, begun: () => begun }
}

function answer(resultType: string, result: unknown): string {
  return JSON.stringify({ status: 'success', data: { resultType, result } })
}
