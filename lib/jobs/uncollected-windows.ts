import type { Seconds, Window, WindowSetting } from '../model/time.ts'
import { SETTLE_SECONDS, toSeconds, windowsBetween } from '../time/windows.ts'

/** The inputs that decide which windows a run without times collects. */
export type UncollectedInput = {
  readonly settings: readonly WindowSetting[]
  readonly registeredAt: Seconds
  readonly now: Seconds
  /** The oldest sample that Prometheus still has; null if it has none or cannot be queried. */
  readonly oldestSample: Seconds | null
  /** Ends of windows with a complete attempt. */
  readonly complete: ReadonlySet<string>
  /** No attempt of this cluster is stored: then the windows before its registration are requested, too. */
  readonly isFirstRun: boolean
}

/** The windows without a complete attempt. */
export type Plan = {
  /** Windows to collect, oldest first. */
  readonly due: readonly Window[]
  /** Expected windows without a complete attempt that Prometheus no longer has. */
  readonly lost: readonly Window[]
}

/** Splits the expected windows without a complete attempt, up to now less the settle time. */
export function planOf({ settings, registeredAt, now, oldestSample, complete, isFirstRun }: UncollectedInput): Plan {
  const from = isFirstRun && oldestSample !== null ? Math.min(oldestSample, registeredAt) : registeredAt
  const open = windowsBetween(settings, from, now - SETTLE_SECONDS).filter(({ end }) => !complete.has(end))
  const isLost = ({ end }: Window) => oldestSample !== null && toSeconds(end) <= oldestSample
  return { due: open.filter((window) => !isLost(window)), lost: open.filter(isLost) }
}
