import type { Attribution } from '../ends/attribution.ts'
import type { LabelVerdict } from './classify.ts'
import type { Seconds } from '../../model/time.ts'
import type { Answers, ProxyScrapes } from './metrics.ts'
import type { Labels } from './labels.ts'
import type { Probe } from '../probes/probes.ts'
import type { Series } from '../../observed/answers.ts'

/** What one proxy saw of one other end in a window, judged. */
export type CounterReading = {
  readonly side: 'outbound' | 'inbound'
  readonly at: Attribution
  readonly port: number
  readonly verdict: LabelVerdict
  /** The identity of the other side, as it was on the wire; empty where there was none. */
  readonly peerId: string
  /** Connections that surely were opened after the scrape before the sample that shows them. */
  readonly opens: number
  /** It was not seen to begin in the window: it was there when first looked at, or just before the window. */
  readonly sinceUnknown: boolean
  readonly openAtScrape: number
  readonly bytes: number
}

/** A window `(start, end]` and what is needed to read its counters. */
export type ReadingInput = {
  readonly start: Seconds
  readonly end: Seconds
  readonly answers: Answers
  readonly scrapes: ReadonlyMap<string, ProxyScrapes>
  readonly attribute: (series: Labels) => Attribution
  /** What the probes of a pod in no list may be, from its template or its siblings; absent or empty: not known. */
  readonly unlistedProbes?: (at: Attribution) => readonly (readonly Probe[])[]
}

/** The scrapes of a target that was never scraped. */
export const NO_SCRAPES: ProxyScrapes = { times: [], failed: [], interval: 0, processStarts: [] }

/** A series of a counter, and whose it is. `key` tells it from others of the same name. */
export type RawSeries = {
  readonly name: string
  readonly key: string
  readonly at: Attribution
  readonly samples: Series['samples']
}
