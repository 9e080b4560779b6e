/** A cluster as it might be, drawn by a seed: nothing of it was recorded. */
import { DERIVATION } from '../lib/model/window.ts'
import type { Coverage, PathWindow, WindowResult } from '../lib/model/window.ts'
import type { State } from '../lib/model/path.ts'
import type { Window } from '../lib/model/time.ts'
import { toTime } from '../lib/time/windows.ts'
import { evidenceKey } from '../lib/store/keys.ts'

const HOUR = 3600
const HOURS_A_DAY = 24

/** Of the paths of a cluster, each day: so many change their state, and half of these changes are back to `mtls`. */
const CHANGES_A_DAY = 0.02
const SLEEPS = 1 / 3
const CRON = 0.1

/** What a path changes to, each as often as it stands here; it comes back to `mtls`. */
const CHANGED: readonly State[] = ['plaintext', 'plaintext', 'no-mesh-tls', 'unknown', 'unknown', 'tls-anonymous']

/** A number from 0 to 1, the next of its seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

type Life = {
  readonly path: PathWindow
  readonly isAwake: (hour: number) => boolean
  /** How many connections an hour, and bytes each. */
  readonly opens: number
  readonly size: number
  state: State
  /** The hour in which it comes back to `mtls`. */
  until: number
}

/** Makes the results of all hours of a cluster, oldest first, one at a time: those of one seed are always the same. */
export function* syntheticWindows(
  cluster: string,
  {
    seed,
    from,
    hours,
    paths,
  }: { readonly seed: number; readonly from: string; readonly hours: number; readonly paths: number },
): Generator<{ readonly window: Window; readonly result: WindowResult }> {
  const random = randomOf(seed)
  const lives = Array.from({ length: paths }, (_, index) => lifeOf(index, paths, random))
  const begin = Date.parse(from) / 1000
  for (let hour = 0; hour < hours; hour++) {
    const window = { start: toTime(begin + hour * HOUR), end: toTime(begin + (hour + 1) * HOUR) }
    yield { window, result: resultOf(cluster, window, hour, lives, random) }
  }
}

function lifeOf(index: number, paths: number, random: () => number): Life {
  const workloads = Math.max(2, Math.ceil(paths / 4))
  const end = (number: number) => ({
    kind: number % 9 === 0 ? 'statefulset' : 'deployment',
    namespace: `team-${number % 20}`,
    name: `service-${number}`,
    serviceAccount: `service-${number}`,
  })
  const [from, to] = [Math.floor(random() * workloads), Math.floor(random() * workloads)]
  const kind = random()
  const [sleep, wake] = [20 + Math.floor(random() * 3), 5 + Math.floor(random() * 3)]
  const [turn, every] = [Math.floor(random() * HOURS_A_DAY), random() < 0.5 ? HOURS_A_DAY : 6]
  const isAwake =
    kind < SLEEPS
      ? (hour: number) => hour % HOURS_A_DAY >= wake && hour % HOURS_A_DAY < sleep
      : kind < SLEEPS + CRON
        ? (hour: number) => hour % every === turn % every
        : () => true
  const pathId = Array.from({ length: 16 }, () => Math.floor(random() * 16).toString(16)).join('')
  return {
    path: {
      pathId,
      source: end(from),
      destination: { ...end(to), cluster: null },
      port: 8080 + (index % 5),
      state: 'mtls',
      outcome: 'allowed',
      reason: '',
      cause: null,
      enforcement: 'plaintext-allowed',
      opens: 0,
      openAtScrape: 1,
      bytes: 0,
      clearBytes: 0,
      sinceUnknown: false,
      corroborated: 'yes',
      candidates: [],
      clientId: `service-${from}.team-${from % 20}`,
      serverId: `service-${to}.team-${to % 20}`,
    },
    isAwake,
    opens: 1 + Math.floor(10 ** (random() * 2.5)),
    size: 200 + Math.floor(10 ** (2 + random() * 4)),
    state: 'mtls',
    until: 0,
  }
}

function resultOf(
  cluster: string,
  window: Window,
  hour: number,
  lives: readonly Life[],
  random: () => number,
): WindowResult {
  const seen: PathWindow[] = []
  for (const life of lives) {
    if (life.state !== 'mtls' && hour >= life.until) life.state = 'mtls'
    else if (life.state === 'mtls' && random() < CHANGES_A_DAY / 2 / HOURS_A_DAY) {
      life.state = CHANGED[Math.floor(random() * CHANGED.length)] ?? 'unknown'
      // From an hour to some weeks; half of them are over after eight hours.
      life.until = hour + 1 + Math.floor(8 ** (random() * 2))
    }
    if (life.isAwake(hour)) seen.push(pathIn(life, random))
  }
  const coverage = coverageOf(cluster, window, lives.length, random)
  const key = evidenceKey({ window, cluster, attempt: random() < 0.02 ? 2 : 1 })
  return {
    format: 'ciphertrail/window/1',
    derivation: DERIVATION,
    cluster,
    window,
    inputs: { evidence: key, before: key, after: key },
    collected: true,
    errors: [],
    edges: [],
    paths: seen,
    coverage,
    workloads: [],
    crypto: { proxyVersions: [], tls: [], certificates: null, trustAnchors: [] },
    existing: null,
    namespaces: null,
  }
}

function pathIn({ path, state, opens, size }: Life, random: () => number): PathWindow {
  const opened = Math.round(opens * (0.5 + random()))
  const bytes = opened * Math.round(size * (0.5 + random()))
  const isClear = state === 'plaintext' || state === 'no-mesh-tls'
  return {
    ...path,
    state,
    reason: isClear ? 'no_tls_from_remote' : state === 'unknown' ? 'destination-not-seen' : '',
    cause: isClear ? 'source-not-meshed' : state === 'unknown' ? 'destination-not-seen' : null,
    corroborated: isClear ? 'no' : 'yes',
    opens: opened,
    openAtScrape: Math.floor(random() * 4),
    bytes,
    clearBytes: isClear ? bytes : 0,
  }
}

/** A row for each workload; a pod now and then was not read for a while. */
function coverageOf(cluster: string, window: Window, paths: number, random: () => number): Coverage[] {
  return Array.from({ length: Math.max(2, Math.ceil(paths / 4)) }, (_, index) => {
    const observedSeconds = random() < 0.1 ? HOUR - Math.round(random() * 20_000) / 1000 : HOUR
    return {
      cluster,
      window,
      workload: {
        kind: index % 9 === 0 ? 'statefulset' : 'deployment',
        namespace: `team-${index % 20}`,
        name: `service-${index}`,
      },
      expectedSeconds: HOUR,
      observedSeconds,
      ratio: observedSeconds / HOUR,
      pods: { total: 1, meshed: 1, scraped: 1 },
      gaps: [],
    }
  })
}
