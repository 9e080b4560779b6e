import { DECIDING } from '../../observed/pod-labels.ts'
import { LEFT_OUT } from '../../observed/prometheus-queries.ts'
import { STATES } from '../../model/path.ts'
import { type Labels, labelOf, seriesKey } from './labels.ts'
import { type ProxyScrapes, joinSlices, lastUntil, scrapesOf } from './counter-movement.ts'
import type { CounterReading, ReadingInput } from './reading.ts'

/**
 * Reads each scraper of a proxy separately. Two jobs of one Prometheus, or two Prometheus servers read without deduplication (a label such as `replica`),
 * return every series of a proxy twice, each with its own samples. Read as one, these would look like restarts and new connections at each sample, counted
 * twice. For each subject the worst reading counts, with the largest count.
 */
export function byScraper(input: ReadingInput): (read: Read) => CounterReading[] {
  const scrapers = scrapersOf(input)
  return (read) => (scrapers === null ? read(input) : joinReadings(scrapers, input, read))
}

type Read = (input: ReadingInput) => CounterReading[]

function joinReadings(scrapers: Scrapers, input: ReadingInput, read: Read): CounterReading[] {
  const readings = scrapers.views.map((view) => ({ view, readings: read(view) }))
  const subjects = Map.groupBy(
    readings.flatMap(({ view, readings: all }) => all.map((reading) => ({ view, reading }))),
    ({ reading }) => (scrapers.isShared(reading.at.instance) ? subjectOf(reading) : null),
  )
  return [...subjects].flatMap(([subject, all]) => {
    if (subject === null) return all.map(({ reading }) => reading)
    const instance = all[0]?.reading.at.instance ?? ''
    const told = Map.groupBy(all, ({ view }) => view)
    return standingOf(
      scrapers.views.map((view) => ({
        readings: (told.get(view) ?? []).map(({ reading }) => reading),
        isWhole: isWhole(view.scrapes.get(instance), input),
      })),
    )
  })
}

/** Readings of one scraper about one subject, and whether it covers all of the window. */
type Told = { readonly readings: readonly CounterReading[]; readonly isWhole: boolean }

/** Returns the worst readings of one subject, with the largest counts. */
function standingOf(all: readonly Told[]): CounterReading[] {
  const isUndated = ({ readings }: Told) => readings.some(({ sinceUnknown }) => sinceUnknown)
  // A scraper that covers the whole window can refute another one's undated values, unless another pod may be scraped as this one.
  const isOne = all.every(({ readings }) => readings.every(({ at }) => at.standing === 'confirmed' && !at.overridden))
  const hasWitness = isOne && all.some((one) => one.isWhole && !isUndated(one))
  const heard = all.filter((one) => one.readings.length > 0 && !(hasWitness && !one.isWhole && isUndated(one)))
  const [worst, ...others] = heard.toSorted(
    (a, b) => rankOf(a) - rankOf(b) || most(b, 'opens') - most(a, 'opens') || most(b, 'bytes') - most(a, 'bytes'),
  )
  if (worst === undefined) return []
  const [only, second] = worst.readings
  if (only === undefined || second !== undefined) return [...worst.readings]
  const largest = (name: 'opens' | 'openAtScrape' | 'bytes') =>
    Math.max(only[name], ...others.filter(({ readings }) => readings.length === 1).map((one) => most(one, name)))
  return [{ ...only, opens: largest('opens'), openAtScrape: largest('openAtScrape'), bytes: largest('bytes') }]
}

/** Rank of readings: allowed before refused, worst state first. */
function rankOf({ readings }: Told): number {
  return Math.min(
    ...readings.map(
      ({ verdict }) => STATES.indexOf(verdict.state) + (verdict.outcome === 'refused' ? STATES.length : 0),
    ),
  )
}

function most({ readings }: Told, name: 'opens' | 'openAtScrape' | 'bytes'): number {
  return readings.reduce((sum, reading) => sum + reading[name], 0)
}

/** Whether a target was scraped continuously from before the window to its end. */
function isWhole(scrapes: ProxyScrapes | undefined, { start, end }: ReadingInput): boolean {
  if (scrapes === undefined) return false
  const { times, interval } = scrapes
  const before = lastUntil(times, start)
  const seen = before === undefined ? [] : [before, ...times.filter((time) => time > start && time <= end), end]
  return seen.length > 1 && seen.slice(1).every((time, index) => time - (seen[index] ?? time) <= 2 * interval)
}

/** Key that is equal for two scrapers' series of one subject, although their target labels may differ in several ways. */
function subjectOf({ side, at, port, peerId }: CounterReading): string {
  const own = Object.entries(at.labels).filter(
    ([name]) =>
      DECIDING.test(name) &&
      !OF_SCRAPER.has(name) &&
      !LEFT_OUT.has(name) &&
      // Policies and routes of a server's port are one subject.
      (side === 'outbound' || !/^(srv|authz|route)_/.test(name)),
  )
  return JSON.stringify([side, at.instance, port, peerId, seriesKey(Object.fromEntries(own))])
}

const OF_SCRAPER: ReadonlySet<string> = new Set(['job', 'instance', 'peer'])

type Scrapers = { readonly views: readonly ReadingInput[]; readonly isShared: (instance: string) => boolean }

/** A target from `up`: its labels, and when it was scraped first and last. */
type Target = { readonly labels: Labels; readonly from: number; readonly to: number }

/** Returns a view of the answers for each scraper; null if every proxy has only one, as is usual. */
function scrapersOf(input: ReadingInput): Scrapers | null {
  const up = joinSlices(input.answers('scrapes'))
  const targets = Map.groupBy(
    up.map(({ labels, samples }): Target => ({ labels, from: samples[0]?.time ?? 0, to: samples.at(-1)?.time ?? 0 })),
    ({ labels }) => labelOf(labels, 'instance'),
  )
  const names = namesOf([...targets.values()])
  if (names.length === 0) return null
  const valuesOf = (labels: Labels) => JSON.stringify(names.map((name) => labels[name] ?? ''))
  const keys = new Map(
    [...targets].map(
      ([instance, all]) => [instance, [...new Set(all.map(({ labels }) => valuesOf(labels)))].sort()] as const,
    ),
  )
  const indexOf = (labels: Labels): number => {
    const all = keys.get(labelOf(labels, 'instance')) ?? []
    if (all.length < 2) return 0
    const exact = all.indexOf(valuesOf(labels))
    if (exact >= 0) return exact
    // Answers leave out labels that decide nothing, so scrapers that differ only in those share one series.
    const kept = (values: string) =>
      JSON.stringify((JSON.parse(values) as string[]).filter((_, index) => !LEFT_OUT.has(names[index] ?? '')))
    return Math.max(
      0,
      all.findIndex((values) => kept(values) === kept(valuesOf(labels))),
    )
  }
  const count = Math.max(...[...keys.values()].map((all) => all.length))
  const views = Array.from({ length: count }, (_, index): ReadingInput => {
    const answers: ReadingInput['answers'] = (name) =>
      input.answers(name).filter(({ labels }) => indexOf(labels) === index)
    return { ...input, answers, scrapes: scrapesOf(answers) }
  })
  return { views, isShared: (instance) => (keys.get(instance)?.length ?? 0) > 1 }
}

/** Returns the fewest labels that distinguish all scrapers of one proxy. */
function namesOf(targets: readonly (readonly Target[])[]): string[] {
  let pairs = targets.flatMap((all) =>
    all.flatMap((one, index) =>
      all.slice(index + 1).flatMap((other) => (isAtOnce(one, other) ? [[one, other] as const] : [])),
    ),
  )
  const differing = new Set(
    pairs.flatMap(([{ labels: a }, { labels: b }]) =>
      [...Object.keys(a), ...Object.keys(b)].filter((name) => name !== '__name__' && a[name] !== b[name]),
    ),
  )
  const names: string[] = []
  for (const name of [...differing].sort((a, b) => preference(a) - preference(b) || (a < b ? -1 : 1))) {
    const left = pairs.filter(([a, b]) => a.labels[name] === b.labels[name])
    if (left.length === pairs.length) continue
    names.push(name)
    pairs = left
  }
  return names
}

/** Usual scraper labels come first, because other labels are the pod's. */
function preference(name: string): number {
  return name === 'job' ? 0 : /replica|prometheus/.test(name) ? 1 : 2
}

/** Whether two targets show one pod at the same time. A target whose labels changed, or a later pod at the address, is not scraped twice. */
function isAtOnce(a: Target, b: Target): boolean {
  const isOf = (name: string) => labelOf(a.labels, name) === labelOf(b.labels, name)
  return isOf('namespace') && isOf('pod') && a.from < b.to && b.from < a.to
}
