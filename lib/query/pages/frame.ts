/** What stands around a page: where one can go from it, and how far its data goes. */
import type { Summary } from '../../report/summary/summary.ts'
import { plural } from '../../report/words/vocabulary.ts'
import { printable } from '../../text/printable.ts'
import { datesOf } from '../../time/dates.ts'
import { type SiteQuery, hrefOf } from './page-query.ts'
import type { Frame } from './render.ts'

/** The places of the navigation. */
const PLACES = [
  ['/', 'Now'],
  ['/paths', 'Paths'],
  ['/workloads', 'Workloads'],
  ['/flow', 'Data flow'],
  ['/changes', 'Changes'],
  ['/reports', 'Reports'],
  ['/log', 'Log'],
] as const

/** The links of the navigation; a page of a past time leads to the same time. */
export function navigationOf(path: string, past: string | null): Frame['places'] {
  const current = PLACES.findLast(([place]) => path === place || (place !== '/' && path.startsWith(`${place}/`)))
  return PLACES.map((place) => ({
    href: hrefOf(place[0], { at: past }),
    title: place[1],
    isCurrent: place === current,
  }))
}

/** Which time is looked at, where it is not now: the windows that were over then, by what is stored, declared and sealed today. */
export function pastOf({ past }: Pick<SiteQuery, 'past'>, nowHref: string): Frame['past'] {
  if (past === null) return null
  const dates = datesOf({ from: past, to: past, timeZone: 'UTC' })
  return {
    words: `As it stood on ${dates.full(past)} (UTC), by what is stored today: waivers, scope, registry and seal are today’s.`,
    nowHref,
  }
}

/** A summary as a page of a past time words it: what was open then is not open now. */
export function labelPast(summary: Summary, past: string | null): Summary {
  return past === null ? summary : { ...summary, period: { ...summary.period, label: `Up to ${past}` } }
}

/** `cluster prod · last window Mon 30 Nov 11:00 · 8,412 leaves sealed` */
export function statusLine({ clusters, period, checkpoint }: Summary): string {
  const dates = datesOf(period)
  const last = clusters
    .flatMap(({ collectedUntil }) => collectedUntil ?? [])
    .toSorted((a, b) => Date.parse(a) - Date.parse(b))
    .at(-1)
  const [only] = clusters
  return [
    clusters.length === 1 && only !== undefined ? `cluster ${printable(only.id)}` : plural(clusters.length, 'cluster'),
    last === undefined ? 'nothing collected' : `last window ${dates.moment(last)}`,
    ...(checkpoint === null
      ? []
      : [checkpoint.unsealed === 0 ? 'sealed' : `${plural(checkpoint.unsealed, 'attempt')} not sealed`]),
  ].join(' · ')
}
