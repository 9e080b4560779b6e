/** The parent's side of workers: starts them, keeps one, and kills those that take too long. */
import { type ChildProcess, fork } from 'node:child_process'
import { countEnd, MAX_ENDS } from '../../store/evidence/set-aside.ts'
import { FIXED_YOUNG_SPACE } from '../../small-heap.ts'
import type { Objects } from '../../store/objects/objects.ts'
import type { CollectedDue } from '../collect-window.ts'
import type { Compacted, Job, WorkerMessage } from './job.ts'

/** Start and limits of workers. */
export type WorkerSettings = {
  /** The worker's file, and its arguments. */
  readonly entry: string
  readonly args?: readonly string[]
  /** Heap limit of a worker, in MB; default {@link MEMORY_MB}. */
  readonly memoryMb?: number
  /** Most time on one attempt, in milliseconds; default {@link READING_MS}. */
  readonly readingMs?: number
}

/** Windows within the budget take less. */
const MEMORY_MB = 1000

/** Windows within the budget take ten seconds, a minute on a busy machine. */
const READING_MS = 5 * 60 * 1000

/** Longer than one window takes with all timeouts. */
const SILENT_MS = 60 * 60 * 1000

/** Number of idle workers that are kept, since starting one takes as long as a window of a small cluster. */
const MAX_KEPT = 1

/** A larger worker is not kept: the next one starts small. */
const MAX_KEPT_BYTES = 400_000_000

/** Number of tries of a cluster that kills its worker in one compaction. */
const MAX_TRIES = 4

/** A worker ended before its job was done. One line with the cause. */
export class WorkerEndedError extends Error {
  override readonly name = 'WorkerEndedError'
  /** The evidence that it was reading; null if none, or unknown. */
  readonly key: string | null
  constructor(message: string, key: string | null) {
    super(message)
    this.key = key
  }
}

/** Does jobs in separate processes. */
export type WorkerPool = {
  /** The same as `collectDue`. Throws {@link WorkerEndedError}, and an `Error` with the worker's own line if the job failed. */
  readonly collect: (message: Extract<Job, { kind: 'collect' }>['message']) => Promise<CollectedDue>
  /** Derives from the stored attempts of a window. Throws as `collect` does. */
  readonly derive: (job: Omit<Extract<Job, { kind: 'derive' }>, 'kind'>) => Promise<void>
  /** Compacts clusters, and reports the outcome of each: one that kills the worker does not hold up the others. */
  readonly compact: (
    clusters: readonly string[],
    how: { readonly now: Date; readonly atOnce: number; readonly isOver?: () => boolean },
    onCompacted: (outcome: Compacted) => void,
  ) => Promise<void>
  /** Kills all workers. */
  readonly close: () => void
}

/** The end of a worker during a job: what it was reading. */
type Ended = { readonly why: string; readonly reading: string | null; readonly last: string | null }

/** Makes a pool. It runs as many workers as there are concurrent jobs; an idle one is kept for the next. */
export function workerPool(
  { entry, args = [], memoryMb = MEMORY_MB, readingMs = READING_MS }: WorkerSettings,
  objects: Objects,
): WorkerPool {
  const all = new Set<ChildProcess>()
  const idle: ChildProcess[] = []
  const killAll = (): void => {
    for (const child of all) child.kill('SIGKILL')
  }
  process.on('exit', killAll)

  function start(): ChildProcess {
    const child = fork(entry, args, {
      execArgv: [`--max-old-space-size=${memoryMb}`, FIXED_YOUNG_SPACE],
      // Discard V8's output about exhausted memory.
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    })
    all.add(child)
    child.on('error', () => undefined)
    child.on('exit', () => {
      all.delete(child)
      const at = idle.indexOf(child)
      if (at !== -1) idle.splice(at, 1)
    })
    return child
  }

  /** An idle worker does not keep this process alive. */
  function release(child: ChildProcess, rss: number): void {
    if (idle.length >= MAX_KEPT || rss > MAX_KEPT_BYTES || !child.connected) {
      child.kill('SIGKILL')
      return
    }
    child.unref()
    child.channel?.unref()
    idle.push(child)
  }

  function take(): ChildProcess {
    const kept = idle.pop()
    kept?.ref()
    kept?.channel?.ref()
    return kept ?? start()
  }

  /** Returns the result of the job, or how its worker ended. Throws the job's error. */
  function run(job: Job, onCompacted: (outcome: Compacted) => void): Promise<CollectedDue | null | Ended> {
    const child = take()
    let reading: string | null = null
    let last: string | null = null
    let isLate = false
    return new Promise<CollectedDue | null | Ended>((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined
      const wait = (): void => {
        clearTimeout(timer)
        timer = setTimeout(
          () => {
            isLate = true
            child.kill('SIGKILL')
          },
          last === null ? SILENT_MS : readingMs,
        )
      }
      const settle = (): void => {
        clearTimeout(timer)
        child.off('message', onMessage).off('exit', onExit).off('error', onError)
      }
      const onMessage = (message: WorkerMessage): void => {
        if (message.told === 'begin') reading = last = message.key
        else if (message.told === 'end') reading = null
        else if (message.told === 'forget') reading = last = null
        else if (message.told === 'compacted') onCompacted(message.outcome)
        else {
          settle()
          release(child, message.rss)
          if (message.told === 'done') resolve(message.result)
          else reject(new Error(message.message))
          return
        }
        wait()
      }
      const onExit = (code: number | null, signal: NodeJS.Signals | null): void => {
        settle()
        const limit = Math.round((last === null ? SILENT_MS : readingMs) / 1000)
        resolve({ why: isLate ? `it took more than ${limit} s` : howItEnded(code, signal, memoryMb), reading, last })
      }
      const onError = (error: Error): void => {
        settle()
        reject(new Error(`Cannot start a worker: ${error.message}`, { cause: error }))
      }
      child.on('message', onMessage).on('exit', onExit).on('error', onError)
      wait()
      child.send(job)
    })
  }

  /** Counts the evidence that killed a worker, and returns one line about it. */
  async function blame(what: string, key: string | null, why: string): Promise<string> {
    const line = `Cannot ${what}: the process that did so ended, ${why}`
    if (key === null) return line
    const times = await countEnd(key, why, objects)
    return `${line}; it read "${key}", which ${times < MAX_ENDS ? 'is tried once more' : 'is left out from now on'}`
  }

  async function runOne(job: Job, what: string): Promise<CollectedDue | null> {
    const outcome = await run(job, () => undefined)
    if (outcome === null || !('why' in outcome)) return outcome
    const key = outcome.reading ?? outcome.last
    throw new WorkerEndedError(await blame(what, key, outcome.why), key)
  }

  return {
    async collect(message) {
      const collected = await runOne({ kind: 'collect', message }, `collect from cluster "${message.cluster}"`)
      if (collected === null) throw new TypeError('a worker that collects gives what it collected')
      return collected
    },
    async derive(job) {
      await runOne({ kind: 'derive', ...job }, `derive cluster "${job.cluster}"`)
    },
    async compact(clusters, { now, atOnce, isOver = () => false }, onCompacted) {
      let left = clusters
      let most = atOnce
      let tries = 0
      while (left.length > 0 && !isOver()) {
        const done = new Set<string>()
        const told = (compacted: Compacted): void => {
          done.add(compacted.cluster)
          tries = 0
          onCompacted(compacted)
        }
        const outcome = await run({ kind: 'compact', clusters: left, now: now.toISOString(), atOnce: most }, told)
        left = left.filter((cluster) => !done.has(cluster))
        if (outcome === null || !('why' in outcome)) return
        const [first, ...others] = left
        if (first === undefined) return
        // With several clusters at once, only the evidence being read is known; one after the other, it was the first of the remaining ones.
        const key = outcome.reading ?? (most === 1 ? outcome.last : null)
        const line = await blame(`derive cluster "${first}"`, key, outcome.why)
        tries += most === 1 ? 1 : 0
        if (most === 1 && (key === null || tries === MAX_TRIES)) {
          // It would kill the next worker, too: it is retried on the next day.
          onCompacted({ cluster: first, windows: 0, errors: [line], problem: null })
          left = others
          tries = 0
        }
        most = 1
      }
    },
    close() {
      process.off('exit', killAll)
      killAll()
    },
  }
}

function howItEnded(code: number | null, signal: NodeJS.Signals | null, memoryMb: number): string {
  if (signal === 'SIGABRT' || code === 134) return `it needed more than ${memoryMb} MB`
  return signal === null ? `with code ${code}` : `by ${signal}`
}
