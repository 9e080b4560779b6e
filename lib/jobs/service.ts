/** All steps in sequence on one machine, which schedules and queues run elsewhere. */
import { removeOldDownloads } from '../deliver/link/downloads.ts'
import { retryThrottled } from '../deliver/send/throttling.ts'
import type { SendMail } from '../deliver/send/send.ts'
import type { PublishAlert } from '../deliver/send/sns.ts'
import type { PostAlert } from '../deliver/send/webhook.ts'
import type { Seconds } from '../model/time.ts'
import type { LastHead } from '../seal/write/last-head.ts'
import type { Signer } from '../seal/tlog/note.ts'
import type { Timestamping } from '../seal/timestamp/timestamping.ts'
import { isSealBehind } from '../seal/write/progress.ts'
import { seal } from '../seal/write/seal.ts'
import type { Objects } from '../store/objects/objects.ts'
import { updateNotEncrypted } from '../history/not-encrypted.ts'
import type { Memory } from '../history/recent.ts'
import { readClusters } from '../store/registry/registry.ts'
import { alertDue } from './alert-channels.ts'
import { type DeliverInstructions, deliverDue } from './mail/deliver-mails.ts'
import type { DueWindow } from './due-windows.ts'
import { oneAtATime } from './without-overlap.ts'
import { createPackLane } from './packs/pack-lane.ts'
import { plan } from './plan-collection.ts'
import { reportWeek } from './make-report.ts'
import { postReports } from './post-reports.ts'
import { alertEvents, deliveryEvents, postEvents, stampEvents, type ServiceEvent } from './service-events.ts'
import { endedWeeks, isDailyDue, isSealDue, stuckAfter } from './schedule.ts'
import { WorkerEndedError, type WorkerPool } from './workers/worker-pool.ts'

/** Settings of the service. */
export type ServiceSettings = {
  /** Version of ciphertrail. */
  readonly version: string
  /** IANA name of the zone in whose weeks it reports. */
  readonly timeZone: string
  /** Number of clusters that are collected at once. One cluster is queried for one window at a time. */
  readonly clustersAtOnce: number
}

/** The dependencies of the service. */
export type ServiceDeps = {
  readonly objects: Objects
  readonly signer: Signer
  /** The same as in `seal`. */
  readonly last?: LastHead | undefined
  /** Gets time stamps of the heads that cover reports; default: none. */
  readonly timestamping?: Timestamping | null
  /** Reads evidence in separate processes, so that this one always answers. */
  readonly workers: Pick<WorkerPool, 'collect' | 'compact'>
  readonly now: () => Date
  readonly log: (event: ServiceEvent) => void
  /** Posts alerts and reports to webhooks. */
  readonly post: PostAlert
  /** Publishes alerts to SNS topics. */
  readonly publish: PublishAlert
  /** Sends mail; null: no mail. */
  readonly mail: (Pick<DeliverInstructions, 'from' | 'url'> & { readonly send: SendMail }) | null
  /** Resolves after this many milliseconds, or at once when the signal aborts. Never rejects. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>
}

/** A running service. */
export type RunningService = {
  /** Finds due work and starts it; resolves once that is decided. Call it each minute. Never rejects. */
  readonly tick: () => Promise<void>
  /** Makes the pack of a report, by the key of its record, now or as soon as no other one is made. */
  readonly pack: (report: string) => void
  /** Resolves when no work is running. */
  readonly idle: () => Promise<void>
  /** Starts nothing more. Running work continues to the end of its step. */
  readonly stop: () => void
  /**
   * False if nothing was planned for two windows, nothing sealed for three hours, or one window is being collected for an hour: the store is not readable or
   * writable, signing fails, or the service hangs.
   */
  readonly isHealthy: () => boolean
}

/** Longer than one window of a cluster takes with all timeouts. */
const HUNG_SECONDS: Seconds = 60 * 60

/** Pause before a failed report, compaction or mail is retried. */
const PAUSE_SECONDS: Seconds = 15 * 60

/** How often urgent alerts are looked for if nothing was collected. */
const ALERT_SECONDS: Seconds = 5 * 60

/**
 * Creates the service. All of its lasting state is in the store: after a restart it plans what is missing. Safe to run twice on one store, though a window may
 * then be collected twice.
 */
export function createService(
  { version, timeZone, clustersAtOnce }: ServiceSettings,
  { objects, signer, last, timestamping = null, workers, now, log, mail: way, post, publish, wait }: ServiceDeps,
): RunningService {
  const started = now()
  let planned: { readonly at: Date; readonly patience: Seconds } = { at: started, patience: stuckAfter([]) }
  let isStopped = false
  const stopped = new AbortController()
  let isPlanning = false

  // ---- problems are reported when they begin, and not again each minute
  const said = new Map<string, string>()
  const failed = (what: string, error: unknown): void => {
    const message = error instanceof Error ? error.message : String(error)
    if (said.get(what) === message) return
    said.set(what, message)
    log({ level: 'error', event: 'failed', what, message })
  }
  const worked = (what: string): void => void said.delete(what)

  const running = new Set<Promise<void>>()
  const begin = (run: () => Promise<void>): Promise<void> => {
    const promise = run().finally(() => running.delete(promise))
    running.add(promise)
    return promise
  }

  const aside = (run: () => Promise<void>): (() => void) => oneAtATime(run, begin, () => isStopped)

  // ---- collecting
  let waiting = new Map<string, readonly DueWindow[]>()
  /** Clusters being collected, with the start of their current window's collection. */
  const busy = new Map<string, Seconds>()
  let hasNews = true

  function collectWaiting(): void {
    for (const [cluster, due] of waiting) {
      if (isStopped || busy.size >= clustersAtOnce) return
      waiting.delete(cluster)
      busy.set(cluster, seconds())
      void begin(async () => {
        try {
          await collectCluster(cluster, due)
          worked(`collect ${cluster}`)
        } catch (error) {
          failed(`collect ${cluster}`, error)
          // Evidence that kills a worker is set aside eventually; other causes make retries rarer.
          if (error instanceof WorkerEndedError && error.key === null)
            pausedUntil.set(`collect ${cluster}`, seconds() + PAUSE_SECONDS)
        } finally {
          busy.delete(cluster)
        }
        collectWaiting()
        if (busy.size > 0) return
        runMaintenance()
        // After all clusters, so that a condition on many of them is one notice; if one hangs, the next look reports what is known.
        deliver()
      })
    }
  }

  async function collectCluster(cluster: string, due: readonly DueWindow[]): Promise<void> {
    for (const message of due) {
      if (isStopped) return
      busy.set(cluster, seconds())
      const outcome = await workers.collect(message)
      hasNews = true
      isAlertDue = true
      const { window } = message
      if (outcome.outcome === 'refused') {
        log({ level: 'warn', event: 'collected', cluster, window, outcome: 'refused', errors: [outcome.error] })
        continue
      }
      const { key, complete, errors } = outcome
      const again = outcome.outcome === 'collected' ? outcome.again : undefined
      const level = complete === false || errors.length > 0 ? 'warn' : 'info'
      log({ level, event: 'collected', cluster, window, outcome: outcome.outcome, key, complete, again, errors })
      // An unreachable cluster would delay others: its next window is requested by the next plan.
      if (complete === false) return
    }
  }

  // ---- work that follows from stored evidence
  let isKeeping = false
  let isWantedAgain = false
  let sealedAt: Seconds | null = null
  let compactedAt: Date | null = null
  let removedAt: Date | null = null
  const reported = new Set<string>()
  const pausedUntil = new Map<string, Seconds>()

  function runMaintenance(): void {
    isWantedAgain = isKeeping
    if (isKeeping || isStopped) return
    isKeeping = true
    void begin(async () => {
      try {
        await attempt('compact', isDailyDue(now(), compactedAt), compactAll)
        await attempt('seal', isSealDue(seconds(), sealedAt, hasNews), sealPending)
        await attempt('report', true, reportWeeks)
        // A report is a leaf, too.
        await attempt('seal', hasNews, sealPending)
        await attempt('remove links', isDailyDue(now(), removedAt), removeLinks)
      } finally {
        isKeeping = false
      }
      if (isWantedAgain) runMaintenance()
    })
  }

  const seconds = (): Seconds => now().getTime() / 1000

  async function attempt(what: string, isDue: boolean, run: () => Promise<void>): Promise<void> {
    if (!isDue || isStopped || seconds() < (pausedUntil.get(what) ?? 0)) return
    try {
      await run()
      worked(what)
    } catch (error) {
      failed(what, error)
      if (what !== 'seal' && what !== 'alert') pausedUntil.set(what, seconds() + PAUSE_SECONDS)
    }
  }

  async function compactAll(): Promise<void> {
    const at = now()
    const clusters = (await readClusters({ objects })).map(({ id }) => id)
    const problems: string[] = []
    await workers.compact(clusters, { now: at, atOnce: 1, isOver: () => isStopped }, (outcome) => {
      const { cluster, windows, errors, problem } = outcome
      if (problem !== null) problems.push(problem)
      const level = errors.length > 0 ? 'warn' : 'info'
      if (windows > 0 || errors.length > 0) log({ level, event: 'compacted', cluster, windows, errors })
    })
    if (isStopped) return
    // Only clusters that were brought up to date: the others are unchanged.
    await updateNotEncrypted(clusters, objects)
    if (problems.length > 0) throw new Error(problems.join('; '))
    compactedAt = at
  }

  /** What the last run could not seal: it stays so until somebody looks, and is said when it begins. */
  let unsealed: ReadonlySet<string> = new Set()

  async function sealPending(): Promise<void> {
    // This run may miss objects stored from here on.
    hasNews = false
    try {
      const { leaves, size, errors: all } = await seal({ now: now() }, { objects, signer, last })
      sealedAt = seconds()
      const errors = all.filter((line) => !unsealed.has(line))
      unsealed = new Set(all)
      const isGood = errors.length === 0 && (leaves.gap ?? 0) === 0
      log({ level: isGood ? 'info' : 'warn', event: 'sealed', size, leaves, errors })
      stamp()
    } catch (error) {
      hasNews = true
      throw error
    }
  }

  // ---- time stamps
  const stamp = aside(() => attempt('time stamps', timestamping !== null, getTimestamps))

  async function getTimestamps(): Promise<void> {
    if (timestamping === null) return
    for (const event of stampEvents(await timestamping({}, { objects, now, isOver: () => isStopped }))) log(event)
  }

  async function reportWeeks(): Promise<void> {
    for (const { week, at } of endedWeeks(await readClusters({ objects }), now(), timeZone)) {
      if (isStopped) return
      if (reported.has(week)) continue
      const { key, isNew, verdict } = await reportWeek({ now: at, timeZone, version }, { objects })
      reported.add(week)
      if (!isNew) continue
      hasNews = true
      log({ level: 'info', event: 'reported', week, key, verdict })
    }
  }

  // ---- packs, independent of the rest: a large one takes minutes
  const packs = createPackLane(version, {
    objects,
    now,
    signal: stopped.signal,
    begin: (work) => begin(() => attempt('pack', true, work)),
    onEnd: (level, report, outcome) => log({ level, event: 'packed', report, ...outcome }),
  })

  async function removeLinks(): Promise<void> {
    const at = now()
    const links = await removeOldDownloads(at, objects)
    removedAt = at
    if (links > 0) log({ level: 'info', event: 'removed', links })
  }

  // ---- mail
  const settled = new Set<string>()
  const memory: Memory = new Map()
  // A mail that waits for its turn when the service stops would be taken for one that may have been sent.
  const patience = { mayWait: () => !isStopped, wait: (ms: number) => wait(ms, stopped.signal) }
  const mail = way === null ? null : retryThrottled(way, patience)
  let isAlertDue = true
  let alertedAt: Seconds = 0

  const deliver = aside(async () => {
    // Missing collections can be an alert, too.
    await attempt('alert', isAlertDue || seconds() - alertedAt >= ALERT_SECONDS, tellAlerts)
    await attempt('deliver', mail !== null, deliverMails)
  })

  async function tellAlerts(): Promise<void> {
    isAlertDue = false
    const instructions = { at: now(), url: mail?.url ?? null }
    const outcomes = await alertDue(instructions, {
      objects,
      now,
      mail,
      post,
      publish,
      settled,
      memory,
      isOver: () => isStopped,
    })
    alertedAt = seconds()
    for (const outcome of outcomes) {
      tellProblem(`alert ${outcome.channel}`, outcome.problem)
      for (const event of alertEvents(outcome)) log(event)
    }
  }

  function tellProblem(what: string, problem: string | null): void {
    if (problem === null) worked(what)
    else failed(what, new Error(problem))
  }

  async function deliverMails(): Promise<void> {
    if (mail === null) return
    const { send, from, url } = mail
    const outcomes = await deliverDue(
      { at: now(), version, from, url },
      { objects, send, now, settled, isOver: () => isStopped },
    )
    for (const outcome of outcomes) {
      // Mails left when the service stops are no problem: the next start continues.
      if (outcome.problem === null || !isStopped || outcome.left === 0)
        tellProblem(`deliver ${outcome.channel}`, outcome.problem)
      for (const event of deliveryEvents(outcome)) log(event)
    }
  }

  // ---- reports for programs
  const tellPrograms = aside(() => attempt('post reports', true, postWeeks))

  async function postWeeks(): Promise<void> {
    const outcomes = await postReports({ at: now() }, { objects, now, post, settled, isOver: () => isStopped })
    for (const outcome of outcomes) {
      tellProblem(`post reports ${outcome.channel}`, outcome.problem)
      for (const event of postEvents(outcome)) log(event)
    }
  }

  return {
    async tick() {
      if (isStopped || isPlanning) return
      isPlanning = true
      try {
        const at = now()
        const clusters = await readClusters({ objects })
        const { due, errors } = await plan({ now: at }, { objects })
        planned = { at, patience: stuckAfter(clusters) }
        if (errors.length > 0) failed('plan', new Error(errors.join('; ')))
        else worked('plan')
        // A window in progress is planned again, and must not wait for itself.
        waiting = new Map(
          Map.groupBy(
            due.filter(
              ({ cluster }) => !busy.has(cluster) && seconds() >= (pausedUntil.get(`collect ${cluster}`) ?? 0),
            ),
            ({ cluster }) => cluster,
          ),
        )
        const begun = [...waiting.values()].flat().length
        if (begun > 0) log({ level: 'info', event: 'planned', windows: begun, clusters: waiting.size })
        collectWaiting()
        runMaintenance()
        deliver()
        packs.look()
        tellPrograms()
      } catch (error) {
        failed('plan', error)
      } finally {
        isPlanning = false
      }
    },
    pack: packs.add,
    async idle() {
      while (running.size > 0) await Promise.allSettled(running)
    },
    stop() {
      isStopped = true
      stopped.abort()
      waiting.clear()
    },
    isHealthy: () =>
      seconds() - planned.at.getTime() / 1000 <= planned.patience &&
      !isSealBehind(seconds(), sealedAt ?? started.getTime() / 1000) &&
      [...busy.values()].every((at) => seconds() - at <= HUNG_SECONDS),
  }
}
