/**
 * What a mesh could have done for thirteen weeks, made of two recorded windows: who talks to whom, by what names and settings is recorded; when, how much
 * and whether it was encrypted is made up. Pure: the same recording gives the same story.
 */
import type { Endpoint } from '../lib/model/path.ts'
import type { Window } from '../lib/model/time.ts'
import type { Coverage, PathWindow, WindowResult, Workload } from '../lib/model/window.ts'
import type { Waiver } from '../lib/model/judgement.ts'

/** Weeks and hours of the story. */
export const WEEKS = 13
const DAY = 24
const WEEK = 7 * DAY

/** How many windows of an hour it has. */
export const HOURS = WEEKS * WEEK

/** What the story is made of. */
export type Recorded = {
  /** A window in which `emojivoto/voting` had no proxy. */
  readonly broken: WindowResult
  /** A window in which it had one. */
  readonly whole: WindowResult
}

// Hours from the beginning.
const ROLLOUT_BROKE_VOTING = [3 * WEEK + 2 * DAY + 9, 4 * WEEK + 3 * DAY + 14] as const
const VOTING_BROKE_AGAIN = [12 * WEEK + 10, 12 * WEEK + 2 * DAY + 16] as const
const INVENTORY_LEFT_THE_MESH = 10 * WEEK + DAY + 8
const LEDGER_CLIENT_CAME = 12 * WEEK + 4 * DAY + 11
const FRONTEND_CLIENT_MESHED = 6 * WEEK + DAY + 15
const LOGIN_CAME = 5 * WEEK + 12
const NOT_COLLECTED = [8 * WEEK + 5 * DAY + 20, 8 * WEEK + 7 * DAY + 6] as const
const METRICS_UNREADABLE = 11 * WEEK + 3 * DAY + 3

const isIn = (hour: number, [from, to]: readonly [number, number]): boolean => hour >= from && hour < to

/** What there is of the hour: nothing was collected, metrics could not be read, or a result. */
export function isCollected(hour: number): boolean {
  return !isIn(hour, NOT_COLLECTED)
}

/** What the story accepts. */
export function storyWaivers(cluster: string, expires: string): readonly Waiver[] {
  return [
    {
      id: 'W-2026-014',
      cluster,
      source: 'deployment/billing/invoices',
      destination: 'external/203.0.113.10',
      owner: 'billing',
      reason: 'the tax office takes plain HTTP until its new gateway is there',
      compensatingControl: 'bodies are signed and hold no personal data',
      expires,
    },
  ]
}

/** The result of an hour, with the keys of what it is said to be made from. */
export function storyResult(
  { broken, whole }: Recorded,
  hour: number,
  { cluster, window, inputs }: { readonly cluster: string } & Pick<WindowResult, 'window' | 'inputs'>,
): WindowResult {
  const isBroken = isIn(hour, ROLLOUT_BROKE_VOTING) || isIn(hour, VOTING_BROKE_AGAIN)
  const base = isBroken ? broken : whole
  const isUnreadable = hour === METRICS_UNREADABLE
  const { viz: _, ...rest } = base
  const workloads = base.workloads.filter(({ namespace }) => !LEFT_OUT.has(namespace))
  return {
    ...rest,
    cluster,
    window,
    inputs,
    collected: !isUnreadable,
    errors: isUnreadable ? ['Prometheus: did not answer (synthetic)'] : [],
    edges: [],
    paths: isUnreadable ? [] : base.paths.filter(isTold).flatMap((path) => pathIn(path, hour)),
    coverage: isUnreadable ? [] : workloads.flatMap((workload) => coverageIn(workload, { cluster, window, hour })),
    workloads: workloads.map((workload) => workloadIn({ ...workload, cluster }, hour)),
    crypto: { ...base.crypto, certificates: certificatesIn(base, window) },
  }
}

/** Half of all paths, and nothing of the story. */
const LEFT_OUT: ReadonlySet<string> = new Set(['linkerd-viz'])

const isTold = ({ source, destination }: PathWindow): boolean =>
  !LEFT_OUT.has(source.namespace) && !LEFT_OUT.has(destination.namespace)

const isEnd = ({ namespace, name }: Endpoint, wanted: string): boolean => `${namespace}/${name}` === wanted

/** The path in the hour: none where it was quiet or not there yet. */
function pathIn(path: PathWindow, hour: number): readonly PathWindow[] {
  const { source, destination, port } = path
  const ofDay = hour % DAY
  // Proxies' own ports and probes would be most of the rest.
  if (path.state === 'exempt' && (port === 4191 || port === 4190 || ofDay !== 12)) return []
  if (isEnd(source, 'emojivoto/vote-bot') && (ofDay >= 22 || ofDay < 6)) return []
  if (isEnd(source, 'warehouse/picker') && hour % 6 !== 0) return []
  if (isEnd(source, 'emojivoto/web') && isEnd(destination, 'identity/login') && hour < LOGIN_CAME) return []
  const isUnnamed = source.name === ''
  if (isUnnamed && isEnd(destination, 'billing/ledger-db') && hour < LEDGER_CLIENT_CAME) return []
  if (isUnnamed && isEnd(destination, 'emojivoto/web') && hour >= FRONTEND_CLIENT_MESHED) return []
  if (isUnnamed && (isEnd(destination, 'emojivoto/voting') || port === 9090)) return []
  const scaled = scaledTo(path, hour)
  if (isEnd(destination, 'warehouse/inventory') && hour < INVENTORY_LEFT_THE_MESH) return [encrypted(scaled)]
  if (path.state === 'unknown' || (isUnnamed && path.outcome === 'refused'))
    return path.outcome === 'refused' ? [scaled] : []
  return [scaled]
}

/** Five minutes as an hour, more by day than by night. */
function scaledTo(path: PathWindow, hour: number): PathWindow {
  const factor = 12 * (0.6 + 0.4 * Math.sin(((hour % DAY) / DAY) * 2 * Math.PI - Math.PI / 2))
  const { opens, bytes, clearBytes } = path
  const scale = (count: number): number => Math.ceil(count * factor)
  // What is there in the first hour may be older than the history.
  return { ...path, sinceUnknown: hour === 0, opens: scale(opens), bytes: scale(bytes), clearBytes: scale(clearBytes) }
}

/** As it was before an end left the mesh. */
function encrypted({ settings: _, ...path }: PathWindow): PathWindow {
  const { source, destination } = path
  return {
    ...path,
    state: 'mtls',
    reason: '',
    cause: null,
    clearBytes: 0,
    corroborated: 'yes',
    clientId: `${source.serviceAccount ?? 'default'}.${source.namespace}`,
    serverId: `${destination.serviceAccount ?? 'default'}.${destination.namespace}`,
  }
}

function workloadIn(workload: Workload, hour: number): Workload {
  if (!isEnd(workload, 'warehouse/inventory') || hour >= INVENTORY_LEFT_THE_MESH) return workload
  return { ...workload, meshed: 'yes', reason: null, blindSpots: [] }
}

/** Seen wholly, but for a restart of Prometheus each week and a longer one each fourth. */
function coverageIn(
  workload: Workload,
  { cluster, window, hour }: { readonly cluster: string; readonly window: Window; readonly hour: number },
): readonly Coverage[] {
  const { kind, namespace, name, pods } = workload
  if (workloadIn(workload, hour).meshed !== 'yes') return []
  const expectedSeconds = 3600 * Math.max(1, pods)
  const lost = hour % WEEK === 5 * DAY + 3 ? 90 : hour % (4 * WEEK) === 2 * DAY + 13 ? 600 : 0
  const observedSeconds = expectedSeconds - lost * Math.max(1, pods)
  const to = new Date(Date.parse(window.start) + lost * 1000).toISOString().replace('.000Z', 'Z')
  return [
    {
      cluster,
      window,
      workload: { kind, namespace, name },
      expectedSeconds,
      observedSeconds,
      ratio: observedSeconds / expectedSeconds,
      pods: { total: pods, meshed: pods, scraped: pods },
      gaps: lost === 0 ? [] : [{ reason: 'prometheus-down', pods, from: window.start, to }],
    },
  ]
}

/** Certificates of a day, renewed all the time. */
function certificatesIn({ crypto }: WindowResult, { end }: Window): WindowResult['crypto']['certificates'] {
  if (crypto.certificates === null) return null
  const in14Hours = new Date(Date.parse(end) + 14 * 3_600_000).toISOString().replace('.000Z', 'Z')
  const inADay = new Date(Date.parse(end) + DAY * 3_600_000).toISOString().replace('.000Z', 'Z')
  return { ...crypto.certificates, earliestExpiry: in14Hours, latestExpiry: inADay }
}
