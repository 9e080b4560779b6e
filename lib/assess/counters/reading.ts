import type { Attribution } from '../ends/attribution.ts'
import type { LabelVerdict } from './classify.ts'
import type { Seconds } from '../../model/time.ts'
import type { Answers, ProxyScrapes } from './counter-movement.ts'
import type { Labels } from './labels.ts'
import type { Probe } from '../probes/declared-probes.ts'
import type { Series } from '../../observed/answers.ts'

/** Traffic between one proxy and one peer in a window, with its verdict. */
export type CounterReading = {
  readonly side: 'outbound' | 'inbound'
  readonly at: Attribution
  readonly port: number
  readonly verdict: LabelVerdict
  /** Identity of the other side on the wire; empty if there was none. */
  readonly peerId: string
  /** Connections that surely were opened after the previous scrape. */
  readonly opens: number
  /** Its start was not observed in the window: it existed at the first scrape, or just before the window. */
  readonly sinceUnknown: boolean
  readonly openAtScrape: number
  readonly bytes: number
}

/** A window `(start, end]` and the input to read its counters. */
export type ReadingInput = {
  readonly start: Seconds
  readonly end: Seconds
  readonly answers: Answers
  readonly scrapes: ReadonlyMap<string, ProxyScrapes>
  readonly attribute: (series: Labels) => Attribution
  /** Possible probes of an unlisted pod, from its template or its siblings; unknown if absent or empty. */
  readonly unlistedProbes?: (at: Attribution) => readonly (readonly Probe[])[]
}

/** Scrapes of a target that was never scraped. */
export const NO_SCRAPES: ProxyScrapes = { times: [], failed: [], interval: 0, processStarts: [] }

/** A series of a counter and its attribution. `key` distinguishes it from others of the same name. */
export type RawSeries = {
  readonly name: string
  readonly key: string
  readonly at: Attribution
  readonly samples: Series['samples']
}
