/** Makes the packs that were asked for, one after the other, on one machine. */
import type { Objects } from '../../store/objects/objects.ts'
import { askedPacks, keepPack, type KeepInstructions, type KeptOutcome } from './make-kept-pack.ts'

/** Packs that are to be made. Those that somebody waits for since before the start are among them. */
export type PackLane = {
  /** Adds the pack of a report, by the key of its record, and looks. */
  readonly add: (report: string) => void
  /** Begins to make one pack after the other, unless that is under way or none is left. One that fails in a way that a second try may change stays. */
  readonly look: () => void
}

/** What a lane works with. */
type LaneDeps = Pick<KeepInstructions, 'now'> & {
  readonly objects: Objects
  /** Ends the work under way, of which nothing is left. */
  readonly signal: AbortSignal
  /** Runs the work beside everything else, unless it failed a short time ago, and says what failed. */
  readonly begin: (work: () => Promise<void>) => Promise<void>
  /** Is told what became of each pack, at the level of a log. */
  readonly onEnd: (level: 'info' | 'warn', report: string, outcome: KeptOutcome) => void
}

/** Creates the lane of a service. */
export function createPackLane(version: string, { objects, now, signal, begin, onEnd }: LaneDeps): PackLane {
  const wanted = new Set<string>()
  let isListed = false
  let isBusy = false

  async function work(): Promise<void> {
    if (!isListed) for (const report of await askedPacks(objects)) wanted.add(report)
    isListed = true
    const failures: unknown[] = []
    for (const report of wanted) {
      if (signal.aborted) return
      try {
        const outcome = await keepPack(report, { version, now, signal }, { objects })
        onEnd(outcome.outcome === 'made' ? 'info' : 'warn', report, outcome)
      } catch (error) {
        // The next start goes on.
        if (signal.aborted) return
        // It stays wanted, and keeps no other from being made.
        failures.push(error)
        continue
      }
      wanted.delete(report)
    }
    if (failures.length > 0) throw failures[0]
  }

  function look(): void {
    if (isBusy || signal.aborted || (isListed && wanted.size === 0)) return
    isBusy = true
    void begin(work).finally(() => (isBusy = false))
  }

  return {
    add(report) {
      wanted.add(report)
      look()
    },
    look,
  }
}
