/** Windows of a month in little memory, and windows that make the key of their evidence when it is asked for. */
import type { TimelineMonth } from '../../model/history.ts'
import { evidenceKey, parseEvidenceKey } from '../../store/keys.ts'
import { rememberedTime, toSeconds } from '../../time/windows.ts'

type MonthWindow = TimelineMonth['windows'][number]

/** The windows of a month, in some thirty bytes each instead of three hundred. */
export type PackedWindows = {
  /** Seconds since the epoch. */
  readonly starts: Float64Array
  /** Seconds. */
  readonly lengths: Uint32Array
  readonly collected: Uint8Array
  readonly expected: Float64Array
  readonly observed: Float64Array
  /** The number of the attempt; 0 for a window that is in `others`. */
  readonly attempts: Uint16Array
  /** Windows without an attempt of their own, or with several, by index. */
  readonly others: ReadonlyMap<number, Pick<MonthWindow, 'evidence' | 'also'>>
}

/** How many bytes a window takes in {@link PackedWindows}. */
export const WINDOW_BYTES = 8 + 4 + 1 + 8 + 8 + 2

/** Packs the windows of a month of a cluster, oldest first. */
export function packWindows(windows: readonly MonthWindow[], cluster: string): PackedWindows {
  const size = windows.length
  const packed = {
    starts: new Float64Array(size),
    lengths: new Uint32Array(size),
    collected: new Uint8Array(size),
    expected: new Float64Array(size),
    observed: new Float64Array(size),
    attempts: new Uint16Array(size),
    others: new Map<number, Pick<MonthWindow, 'evidence' | 'also'>>(),
  }
  let [end, endsAt] = ['', NaN]
  let index = -1
  for (const window of windows) {
    index++
    const startsAt = window.start === end ? endsAt : toSeconds(window.start)
    ;[end, endsAt] = [window.end, toSeconds(window.end)]
    packed.starts[index] = startsAt
    packed.lengths[index] = endsAt - startsAt
    packed.collected[index] = window.collected ? 1 : 0
    packed.expected[index] = window.expectedSeconds
    packed.observed[index] = window.observedSeconds
    const attempt = attemptOf(window, cluster)
    if (attempt !== undefined && window.also === undefined) packed.attempts[index] = attempt
    else {
      const { evidence, also } = window
      packed.others.set(index, { evidence, ...(also === undefined ? {} : { also }) })
    }
  }
  return packed
}

/** Returns the windows that were packed. Those with an attempt of their own make its key when it is asked for. */
export function unpackWindows(packed: PackedWindows, cluster: string): MonthWindow[] {
  const { starts, lengths, collected, expected, observed, attempts, others } = packed
  let end = ''
  let endsAt = NaN
  return Array.from(starts, (startsAt, index) => {
    const start = startsAt === endsAt ? end : rememberedTime(startsAt)
    endsAt = startsAt + (lengths[index] ?? 0)
    end = rememberedTime(endsAt)
    const [expectedSeconds, observedSeconds] = [expected[index] ?? 0, observed[index] ?? 0]
    const window = {
      start,
      end,
      collected: collected[index] === 1,
      expectedSeconds,
      observedSeconds,
      ratio: expectedSeconds > 0 ? observedSeconds / expectedSeconds : null,
    }
    const other = others.get(index)
    return other === undefined ? new UnpackedWindow(window, cluster, attempts[index] ?? 0) : { ...window, ...other }
  })
}

/** Returns the number of the attempt that a window's evidence is, if it is one at this window of the cluster. */
export function attemptOf(window: MonthWindow, cluster: string): number | undefined {
  if (window instanceof UnpackedWindow) return window.attemptOf(cluster)
  const { start, end, evidence } = window
  const parsed = evidence === null ? undefined : parseEvidenceKey(evidence)
  const isOwn = parsed?.cluster === cluster && parsed.window.start === start && parsed.window.end === end
  return isOwn ? parsed.attempt : undefined
}

/**
 * Makes the key of its evidence when it is asked for: few are, and to make one takes longer than all the rest. Never copy it by `...`, since the copy has no
 * key.
 */
export class UnpackedWindow implements MonthWindow {
  readonly start: string
  readonly end: string
  readonly collected: boolean
  readonly expectedSeconds: number
  readonly observedSeconds: number
  readonly ratio: number | null
  readonly #cluster: string
  readonly #attempt: number

  constructor(window: Omit<MonthWindow, 'evidence' | 'also'>, cluster: string, attempt: number) {
    this.start = window.start
    this.end = window.end
    this.collected = window.collected
    this.expectedSeconds = window.expectedSeconds
    this.observedSeconds = window.observedSeconds
    this.ratio = window.ratio
    this.#cluster = cluster
    this.#attempt = attempt
  }

  get evidence(): string {
    return evidenceKey({ window: { start: this.start, end: this.end }, cluster: this.#cluster, attempt: this.#attempt })
  }

  /** The number of the attempt; undefined if it is not one of this cluster. */
  attemptOf(cluster: string): number | undefined {
    return cluster === this.#cluster ? this.#attempt : undefined
  }
}
