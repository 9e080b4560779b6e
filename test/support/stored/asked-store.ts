import { assessWindow } from '../../../lib/assess/window/window.ts'
import { deriveCluster } from '../../../lib/history/derive.ts'
import { writeAttempt } from '../../../lib/store/evidence/evidence.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { addCluster, readClusters, removeCluster } from '../../../lib/store/registry/registry.ts'
import { minutesIn, snapshotOf } from './sealed-store.ts'
import type { SyntheticCluster } from '../mesh/synthetic-cluster.ts'
import { pod } from '../mesh/synthetic-pods.ts'
import {
  NO_DISCOVERY,
  NO_TLS,
  clearHttp,
  inbound,
  mutual,
  outbound,
  outboundTo,
  tcp,
} from '../mesh/synthetic-prometheus.ts'

/** A name that a spreadsheet would run, a terminal obey and a page show as markup. */
export const HOSTILE = '=HYPERLINK("http://x","y")\u202e\u001b[31m<script>'

const web = pod('deployment/web')
const api = pod('deployment/api')
const db = pod('statefulset/db')
const pods = [web, api, db]

/** Two encrypted paths, one in the clear, and one to a place with a hostile name. */
const CLEAR: SyntheticCluster = {
  pods,
  counters: [
    ...mutual(web, api, 8080),
    ...mutual(api, db, 5432),
    ...clearHttp(api, 9000),
    ...tcp(web, outboundTo('203.0.113.7', 443, { authority: HOSTILE })),
  ],
}
/** The same with other ports, and the clear one encrypted. */
const ENCRYPTED: SyntheticCluster = {
  pods,
  counters: [...mutual(web, api, 8080), ...mutual(api, db, 5432), ...mutual(web, db, 5432)],
}
const OPAQUE: SyntheticCluster = {
  pods,
  counters: [...mutual(web, api, 8080), ...tcp(db, inbound(db, 5432, NO_TLS))],
}

/** When the histories of {@link fillHistories} are asked for: four windows of five minutes are over by then. */
export const ASKED_AT = minutesIn(21)

/**
 * Fills a store with the histories of two clusters: `east`, which was not encrypted at first, and of which nobody collected the third window; and `west`, of
 * which all four were collected. A third one, `old`, is not registered any more.
 */
export async function fillHistories(objects: Objects): Promise<void> {
  const author = { now: minutesIn(0), by: 'tester' }
  for (const id of ['east', 'west', 'old']) await addCluster({ id, windowMinutes: 5 }, author, { objects })
  const collect = (cluster: string, index: number, mesh: SyntheticCluster) =>
    writeAttempt(snapshotOf(cluster, index, {}, mesh), { objects })
  await collect('east', 0, CLEAR)
  await collect('east', 1, OPAQUE)
  await collect('east', 3, ENCRYPTED)
  for (const index of [0, 1, 2, 3]) await collect('west', index, index === 2 ? OPAQUE : ENCRYPTED)
  await collect('old', 0, CLEAR)
  for (const cluster of await readClusters({ objects })) await deriveCluster(cluster, { objects, assess: assessWindow })
  await removeCluster('old', author, { objects })
}

/** Collects the window of `east` that was missing. */
export async function collectLate(objects: Objects): Promise<void> {
  await writeAttempt(snapshotOf('east', 2, {}, OPAQUE), { objects })
  for (const cluster of await readClusters({ objects })) await deriveCluster(cluster, { objects, assess: assessWindow })
}

/**
 * Adds the history of a cluster, four windows of one path: encrypted, twice in the clear, encrypted.
 *
 * @param options.replay what it is a replay of; absent where it is none
 * @param options.missing windows that are not collected
 */
export async function fillNorth(
  objects: Objects,
  id = 'north',
  { replay, missing = [] }: { readonly replay?: string; readonly missing?: readonly number[] } = {},
): Promise<void> {
  await addCluster(
    { id, windowMinutes: 5, ...(replay === undefined ? {} : { replay }) },
    { now: minutesIn(0), by: 'tester' },
    { objects },
  )
  const encrypted: SyntheticCluster = { pods: [web, api], counters: mutual(web, api, 8080) }
  const clear: SyntheticCluster = { pods: [web, api], counters: tcp(web, outbound(api, 8080, NO_DISCOVERY)) }
  for (const [index, mesh] of [encrypted, clear, clear, encrypted].entries())
    if (!missing.includes(index)) await writeAttempt(snapshotOf(id, index, {}, mesh), { objects })
  for (const cluster of await readClusters({ objects })) await deriveCluster(cluster, { objects, assess: assessWindow })
}
