import fc from 'fast-check'
import type { Seconds } from '../../../lib/model/time.ts'
import {
  type Call,
  type Probe,
  type SimulatedMesh,
  type SimulatedPod,
  type SimulatedWorkload,
  chance,
} from './simulated-mesh.ts'

/** When the first window of a story begins that does not say it: 2026-11-24T12:00:00Z. */
const STORY_START: Seconds = 1_795_521_600

/** What happens to a workload. */
export type Change = {
  /** Seconds after the first window's start. */
  readonly at: Seconds
  /**
   * `roll`: a new revision, in the mesh as the last was. `leave`, `join`: a new revision without and with a proxy. `move`: other pods of the same
   * revision, as after a drain. `scale`: one more pod for a time. `restart`: the proxies' processes begin anew.
   */
  readonly what: 'roll' | 'leave' | 'join' | 'move' | 'scale' | 'restart'
  /** False: whoever is created by it gets no proxy, since the injector is away. */
  readonly isInjected: boolean
  /** Of `scale` and `move`: for how long, until what was before is made again. */
  readonly lasts: Seconds
}

export type WorkloadPlan = {
  /** Absent: in `shop`, by a name of its own. */
  readonly called?: { readonly namespace: string; readonly name: string }
  readonly kind: 'deployment' | 'statefulset' | 'daemonset' | 'cronjob'
  readonly meshed: boolean
  readonly pods: number
  readonly probes: readonly Probe['kind'][]
  /** Seconds until a pod is ready. */
  readonly readyAfter: Seconds
  readonly initialDelaySeconds: Seconds
  readonly isClassic: boolean
  readonly sharesAccount: boolean
  readonly skipInbound: boolean
  readonly skipOutbound: boolean
  readonly changes: readonly Change[]
}

/** Who talks to whom. */
export type FlowPlan = {
  /** Which workloads, by their place in the story. */
  readonly from: number
  readonly to: number
  readonly port: number
  readonly protocol: Call['protocol']
  readonly every: Seconds
  readonly since: Seconds
  readonly until: Seconds
  /** For how long each connection is open. */
  readonly lasts: Seconds
}

/** A story as plain data, so that it can be printed, shrunk and told again. */
export type Story = {
  readonly seed: number
  readonly minutes: 5 | 15 | 60
  readonly windows: number
  readonly interval: 10 | 30 | 60
  readonly workloads: readonly WorkloadPlan[]
  readonly flows: readonly FlowPlan[]
  readonly hasCadvisor: boolean
  readonly hasEvents: boolean
  /** When lists are taken: after each window and before the first, or after each alone, or only before the first and after the last. */
  readonly lists: 'around' | 'after' | 'ends'
  readonly away: readonly { readonly at: Seconds; readonly lasts: Seconds }[]
  readonly failing: readonly { readonly workload: number; readonly at: Seconds; readonly lasts: Seconds }[]
  /** The samples of a workload's pods come late. */
  readonly late: readonly { readonly workload: number; readonly by: Seconds }[]
  /** By how much the clock of each of three nodes is ahead. */
  readonly clocks: readonly Seconds[]
  /** How long the mesh goes on after the last window. Absent: until that one is collected. */
  readonly goesOn?: Seconds
  /** When its first window begins. Absent: as with all others. */
  readonly startsAt?: Seconds
}

/** The ports of every workload. The second is marked as opaque, the third may be skipped. */
export const PORTS = [8080, 6379, 9000] as const

/** How long before the first window anybody talks, and Prometheus looks. */
const TALKS_BEFORE: Seconds = 1500
const LOOKS_BEFORE: Seconds = 1200

/** When a story's first window begins. */
export function startOf({ startsAt = STORY_START }: Story): Seconds {
  return startsAt
}

/** The end of a story's last window. */
export function endOf(story: Story): Seconds {
  return startOf(story) + story.windows * story.minutes * 60
}

/** Seconds after a window's end at which it is collected, and the lists are taken. */
export const COLLECTED_AFTER: Seconds = 75

/** Makes the mesh that a story tells of. */
export function meshOf(story: Story): SimulatedMesh {
  const start = startOf(story)
  const until = endOf(story) + Math.max(4 * COLLECTED_AFTER, story.goesOn ?? 0)
  const workloads = story.workloads.map((plan, index) => workloadOf(start, plan, index))
  const pods = story.workloads.map((plan, index) => podsOf(story, { plan, index, workload: workloads[index], until }))
  const scraper = scraperOf(start)
  const own = (index: number) => pods[index] ?? []
  return {
    seed: story.seed,
    workloads: [...workloads, scraper.workload],
    pods: [...pods.flat(), scraper],
    calls: story.flows.flatMap((flow, index) =>
      callsOf(story, { flow, index, from: own(flow.from), to: own(flow.to) }),
    ),
    scraped: { from: start - LOOKS_BEFORE, to: until },
    interval: story.interval,
    away: story.away.map(({ at, lasts }) => ({ from: start + at, to: start + at + lasts })),
    failing: story.failing.flatMap(({ workload, at, lasts }) =>
      own(workload).map((pod) => ({ pod, from: start + at, to: start + at + lasts })),
    ),
    late: new Map(story.late.flatMap(({ workload, by }) => own(workload).map((pod) => [pod.uid, by] as const))),
    clocks: new Map(story.clocks.map((clock, index) => [`node-${index + 1}`, clock])),
    hasCadvisor: story.hasCadvisor,
    hasEvents: story.hasEvents,
  }
}

const NAMES = ['web', 'api', 'db', 'cart', 'mail', 'auth', 'feed', 'jobs', 'geo', 'pay'] as const

function workloadOf(
  start: Seconds,
  { called, kind, pods, sharesAccount, changes }: WorkloadPlan,
  index: number,
): SimulatedWorkload {
  const name =
    called?.name ?? `${NAMES[index % NAMES.length]}${index < NAMES.length ? '' : Math.floor(index / NAMES.length)}`
  const scaled = changes
    .filter(({ what }) => what === 'scale')
    .flatMap(({ at, lasts }) => [
      { since: start + at, pods: pods + 1 },
      { since: start + at + lasts, pods },
    ])
  return {
    kind,
    namespace: called?.namespace ?? 'shop',
    name,
    serviceAccount: sharesAccount ? 'default' : name,
    replicas: [{ since: 0, pods }, ...scaled.toSorted((a, b) => a.since - b.since)],
  }
}

const DAY: Seconds = 86_400
/** The same story has the same pods, whatever was told before it. */
function uidOf(workload: number, pod: number): string {
  const hex = (number: number, digits: number) => number.toString(16).padStart(digits, '0')
  return `5a0f0000-0000-4000-${hex(workload, 4)}-${hex(pod, 12)}`
}

/** viz's own Prometheus, which is meshed as all others. */
function scraperOf(start: Seconds): SimulatedPod {
  const workload = { kind: 'deployment', namespace: 'linkerd-viz', name: 'prometheus', serviceAccount: 'prometheus' }
  return {
    workload: { ...workload, replicas: [{ since: 0, pods: 1 }] },
    name: 'prometheus-7c9d5b8f6-q2w4e',
    uid: uidOf(0xffff, 0),
    ip: '10.2.255.1',
    node: 'node-1',
    owner: 'prometheus-7c9d5b8f6',
    meshed: true,
    isClassic: false,
    created: start - DAY,
    started: start - DAY + 4,
    ready: start - DAY + 5,
    ended: Infinity,
    deleted: Infinity,
    restarts: [],
    ports: [9090],
    probes: [],
    skipInbound: [],
    skipOutbound: [],
    opaque: [],
  }
}

type Draft = { -readonly [K in keyof SimulatedPod]: SimulatedPod[K] }

/** All pods of a workload, as what happens to it makes and ends them. */
function podsOf(
  story: Story,
  {
    plan,
    index,
    workload,
    until,
  }: {
    readonly plan: WorkloadPlan
    readonly index: number
    readonly workload: SimulatedWorkload | undefined
    readonly until: Seconds
  },
): SimulatedPod[] {
  if (workload === undefined) return []
  const start = startOf(story)
  const all: Draft[] = []
  let [revision, meshed] = [0, plan.meshed]
  const make = (
    created: Seconds,
    { isMeshed, ordinal, owner }: { isMeshed: boolean; ordinal: number; owner?: string },
  ) => {
    const number = all.length
    const uid = uidOf(index, number)
    const ownerName =
      owner ?? (plan.kind === 'deployment' ? `${workload.name}-${hashText(workload.name, revision)}` : workload.name)
    const suffix = hashText(`${workload.name}-${number}`, story.seed).slice(0, 5)
    const started = created + 2 + chance(story.seed, index, number, 'start') * 2
    const pod: Draft = {
      workload,
      name: plan.kind === 'statefulset' ? `${workload.name}-${ordinal}` : `${ownerName}-${suffix}`,
      uid,
      ip: `10.1.${index}.${number + 1}`,
      node: `node-${1 + Math.floor(chance(story.seed, index, number, 'node') * 3)}`,
      owner: ownerName,
      meshed: isMeshed,
      isClassic: plan.isClassic,
      created,
      started,
      ready: started + plan.readyAfter,
      ended: Infinity,
      deleted: Infinity,
      restarts: [],
      ports: [...PORTS],
      probes: plan.probes.map((kind, place) => ({
        kind,
        role: place === 0 ? 'readiness' : 'liveness',
        port: PORTS[0],
        path: place === 0 ? '/ready' : '/live',
        periodSeconds: 10,
        initialDelaySeconds: plan.initialDelaySeconds,
      })),
      skipInbound: plan.skipInbound ? [PORTS[2]] : [],
      skipOutbound: plan.skipOutbound ? [PORTS[2]] : [],
      opaque: [PORTS[1]],
    }
    all.push(pod)
    return pod
  }
  const end = (pod: Draft, at: Seconds) => {
    pod.ended = Math.max(pod.started + 1, at)
    pod.deleted = pod.ended + 1
  }
  const alive = (at: Seconds) => all.filter(({ created, ended }) => created <= at && ended > at)
  const changes = plan.changes.map((change) => ({ ...change, at: start + change.at })).toSorted((a, b) => a.at - b.at)

  if (plan.kind === 'cronjob') {
    for (let at = start - LOOKS_BEFORE, number = 0; at < until; at += 60, number++) {
      const out = changes.findLast((change) => change.at <= at && (change.what === 'leave' || change.what === 'join'))
      const isMeshed = out === undefined ? plan.meshed : out.what === 'join'
      const pod = make(at, { isMeshed, ordinal: 0, owner: `${workload.name}-${29_925_400 + number}` })
      pod.ready = pod.started
      pod.ended = pod.started + 8 + plan.pods * 12 + chance(story.seed, index, number, 'life') * 10
      // A CronJob keeps its last three Jobs.
      pod.deleted = pod.ended + 180
    }
    return all
  }
  const ordinals = Array.from({ length: plan.pods }, (_, ordinal) => ordinal)
  for (const ordinal of ordinals) make(start - DAY, { isMeshed: meshed, ordinal })
  /** Ends all pods and makes others: one after the other where a name is used again, else the new ones first. */
  const replace = (at: Seconds, isMeshed: boolean) => {
    const old = alive(at)
    const isSame = plan.kind !== 'deployment'
    for (const [place, pod] of old.entries()) {
      const then = at + place * 3
      if (isSame) {
        end(pod, then)
        make(then + 2, { isMeshed, ordinal: place })
      } else {
        const next = make(then, { isMeshed, ordinal: place })
        end(pod, next.ready + 2)
      }
    }
  }
  for (const { at, what, isInjected, lasts } of changes) {
    if (what === 'restart') {
      for (const pod of alive(at))
        if (pod.meshed && at > pod.started + 5) pod.restarts = [...pod.restarts, { from: at, to: at + 2 }]
    } else if (what === 'scale') {
      const more = make(at, { isMeshed: meshed && isInjected, ordinal: plan.pods })
      end(more, at + Math.max(20, lasts))
    } else if (what === 'move') {
      replace(at, meshed && isInjected)
      if (meshed && !isInjected) replace(at + Math.max(30, lasts), meshed)
    } else {
      revision += 1
      meshed = what === 'roll' ? meshed : what === 'join'
      replace(at, meshed && isInjected)
    }
  }
  return all
}

function hashText(text: string, seed: number): string {
  return Math.floor(chance(seed, text) * 36 ** 9)
    .toString(36)
    .padStart(9, 'x')
}

/** The connections of a flow, between pods that are there. */
function callsOf(
  story: Story,
  {
    flow,
    index,
    from,
    to,
  }: {
    readonly flow: FlowPlan
    readonly index: number
    readonly from: readonly SimulatedPod[]
    readonly to: readonly SimulatedPod[]
  },
): Call[] {
  const start = startOf(story)
  const [since, until] = [
    start + flow.since,
    Math.min(start + flow.until, endOf(story) + (story.goesOn ?? COLLECTED_AFTER)),
  ]
  const isJob = from[0]?.workload.kind === 'cronjob'
  const runs = (pod: SimulatedPod, at: Seconds) => pod.started < at && pod.ended > at && !isBetween(pod, at)
  const serves = (pod: SimulatedPod, at: Seconds) => runs(pod, at) && pod.ready <= at
  const pick = (all: readonly SimulatedPod[], at: Seconds) =>
    all[Math.floor(chance(story.seed, index, at) * all.length)]
  const times: { readonly at: Seconds; readonly client: SimulatedPod | undefined }[] = []
  if (isJob)
    for (const pod of from) {
      const at = pod.started + 0.1 + chance(story.seed, index, pod.uid) * (pod.ended - pod.started - 0.3)
      if (at > since && at < until) times.push({ at, client: pod })
    }
  else
    for (let at = since + chance(story.seed, index, 'phase') * Math.min(flow.every, 20); at < until; at += flow.every)
      times.push({
        at,
        client: pick(
          from.filter((pod) => runs(pod, at)),
          at,
        ),
      })
  return times.flatMap(({ at, client }): Call[] => {
    const server = pick(
      to.filter((pod) => serves(pod, at) && pod !== client),
      at,
    )
    if (client === undefined || server === undefined) return []
    const closed = Math.min(at + flow.lasts, client.ended, server.ended)
    const moments: Seconds[] = []
    for (let moment = at + 0.05; moment < Math.max(closed, at + 0.06); moment += 20) moments.push(moment)
    return [{ from: client, to: server, port: flow.port, protocol: flow.protocol, opened: at, closed, moments }]
  })
}

/** Nobody talks while the proxy is down. */
function isBetween({ restarts }: SimulatedPod, at: Seconds): boolean {
  return restarts.some(({ from, to }) => at >= from - 1 && at < to + 1)
}

/** Any story. */
export function anyStory(): fc.Arbitrary<Story> {
  return fc
    .record({
      minutes: fc.constantFrom(5, 5, 5, 15) satisfies fc.Arbitrary<Story['minutes']>,
      windows: fc.integer({ min: 2, max: 4 }),
    })
    .chain(({ minutes, windows }) => {
      const length = minutes * 60 * windows
      const moment = fc.integer({ min: 5, max: length })
      const change: fc.Arbitrary<Change> = fc.record({
        at: moment,
        what: fc.constantFrom('roll', 'leave', 'join', 'move', 'scale', 'restart'),
        isInjected: fc.boolean(),
        lasts: fc.integer({ min: 20, max: minutes * 60 }),
      })
      const workload: fc.Arbitrary<WorkloadPlan> = fc.record({
        kind: fc.constantFrom('deployment', 'deployment', 'deployment', 'statefulset', 'daemonset', 'cronjob'),
        meshed: fc.constantFrom(true, true, true, false),
        pods: fc.integer({ min: 1, max: 2 }),
        probes: fc.subarray(['httpGet', 'https', 'grpc', 'tcpSocket'] as const, { maxLength: 2 }),
        readyAfter: fc.constantFrom(1, 1, 5, 70),
        initialDelaySeconds: fc.constantFrom(0, 0, 15),
        isClassic: fc.constantFrom(false, false, true),
        sharesAccount: fc.constantFrom(false, false, false, true),
        skipInbound: fc.constantFrom(false, false, true),
        skipOutbound: fc.constantFrom(false, false, true),
        changes: fc.array(change, { maxLength: 2 }),
      })
      const flow = (workloads: number): fc.Arbitrary<FlowPlan> =>
        fc
          .record({
            from: fc.nat(workloads - 1),
            to: fc.nat(workloads - 1),
            port: fc.constantFrom(...PORTS),
            protocol: fc.constantFrom('http', 'http', 'tcp', 'tls') satisfies fc.Arbitrary<Call['protocol']>,
            every: fc.constantFrom(10, 20, 45, 290, 10_000),
            isLimited: fc.boolean(),
            at: moment,
            during: fc.integer({ min: 10, max: length }),
            lasts: fc.constantFrom(0.3, 0.3, 5, 130),
          })
          .map(({ isLimited, at, during, ...plan }) => ({
            ...plan,
            since: isLimited ? at : -TALKS_BEFORE,
            until: isLimited ? at + during : length + COLLECTED_AFTER,
          }))
      const span = { at: fc.integer({ min: -300, max: length }), lasts: fc.integer({ min: 15, max: 240 }) }
      return fc.array(workload, { minLength: 2, maxLength: 5 }).chain((workloads) =>
        fc.record({
          seed: fc.nat(1_000_000),
          minutes: fc.constant(minutes),
          windows: fc.constant(windows),
          interval: fc.constantFrom(10, 10, 30, 60) satisfies fc.Arbitrary<Story['interval']>,
          workloads: fc.constant(workloads),
          flows: fc.array(flow(workloads.length), { minLength: 1, maxLength: 5 }),
          hasCadvisor: fc.constantFrom(true, true, true, false),
          hasEvents: fc.boolean(),
          lists: fc.constantFrom('around', 'around', 'after', 'ends') satisfies fc.Arbitrary<Story['lists']>,
          away: fc.oneof({ weight: 4, arbitrary: fc.constant([]) }, fc.array(fc.record(span), { maxLength: 1 })),
          failing: fc.oneof(
            { weight: 4, arbitrary: fc.constant([]) },
            fc.array(fc.record({ ...span, workload: fc.nat(workloads.length - 1) }), { maxLength: 1 }),
          ),
          late: fc.oneof(
            { weight: 4, arbitrary: fc.constant([]) },
            fc.array(fc.record({ workload: fc.nat(workloads.length - 1), by: fc.integer({ min: 20, max: 280 }) }), {
              maxLength: 1,
            }),
          ),
          clocks: fc.oneof(
            { weight: 3, arbitrary: fc.constant([]) },
            fc.array(fc.integer({ min: -15, max: 15 }), { minLength: 3, maxLength: 3 }),
          ),
        }),
      )
    })
}

const HOURS = 6

/**
 * Six hours of a healthy mesh: twenty workloads, all with proxies, probes of every kind, viz's own among them. Some are rolled, scaled or moved
 * meanwhile; nobody talks in the clear.
 */
export function healthyStory(seed: number): Story {
  const length = HOURS * 3600
  const at = (...texts: (string | number)[]) => Math.floor(chance(seed, 'healthy', ...texts) * length)
  const kinds = ['deployment', 'deployment', 'statefulset', 'daemonset'] as const
  const probes = ['httpGet', 'grpc', 'https', 'tcpSocket'] as const
  const plan = (index: number): WorkloadPlan => ({
    kind: kinds[index % kinds.length] ?? 'deployment',
    meshed: true,
    pods: 1 + (index % 2),
    probes: [probes[index % 4] ?? 'httpGet', probes[(index >> 2) % 4] ?? 'grpc'],
    readyAfter: index % 5 === 0 ? 40 : 2,
    initialDelaySeconds: index % 3 === 0 ? 15 : 0,
    isClassic: index % 6 === 0,
    sharesAccount: false,
    skipInbound: false,
    skipOutbound: false,
    changes:
      index % 3 === 0
        ? [
            {
              at: at(index),
              what: (['roll', 'move', 'scale', 'restart'] as const)[Math.floor(index / 3) % 4] ?? 'roll',
              isInjected: true,
              lasts: 1500,
            },
          ]
        : [],
  })
  const viz = ['web', 'tap', 'metrics-api'].map((name): WorkloadPlan => ({
    ...plan(0),
    called: { namespace: 'linkerd-viz', name },
    kind: 'deployment',
    probes: ['httpGet', 'httpGet'],
    changes: [],
  }))
  // With viz's Prometheus they are twenty.
  const workloads = [...Array.from({ length: 16 }, (_, index) => plan(index)), ...viz]
  const flow = (from: number, to: number): FlowPlan => ({
    from,
    to,
    port: PORTS[(from + to) % 2] ?? PORTS[0],
    protocol: 'http',
    every: [30, 60, 300][(from * 3 + to) % 3] ?? 60,
    since: -TALKS_BEFORE,
    until: Infinity,
    lasts: (from + to) % 5 === 0 ? 130 : 0.3,
  })
  const flows = workloads
    .slice(0, 16)
    .flatMap((_, from) => [flow(from, (from + 1) % 16), flow(from, (from * 5 + 3) % 16)])
  return {
    seed,
    minutes: 60,
    windows: HOURS,
    interval: 30,
    workloads,
    flows: [...flows.filter(({ from, to }) => from !== to), flow(16, 18), flow(17, 18)],
    hasCadvisor: true,
    hasEvents: true,
    lists: 'after',
    away: [],
    failing: [],
    late: [],
    clocks: [],
    goesOn: 3600,
  }
}
