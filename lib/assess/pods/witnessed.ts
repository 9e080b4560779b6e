import type { Seconds } from '../../model/time.ts'
import { END_SECONDS } from './seen-pods.ts'
import type { Facts } from './facts.ts'
import type { ProxyScrapes } from '../counters/counter-movement.ts'
import type { PodFacts } from './pods.ts'

/**
 * Finds the scraped addresses of unlisted pods that cAdvisor shows with a proxy. The address must be the only one with its pod name while it was scraped,
 * within the life of such a pod. A target that takes the name of another scraped pod is not the only one, and cAdvisor shows each pod by its real name, so
 * only two colluding pods could deceive.
 *
 * @param names the pod names that each address reported, `namespace/pod`
 */
export function witnessed(
  { pods }: Pick<Facts, 'pods'>,
  scrapes: ReadonlyMap<string, ProxyScrapes>,
  {
    names,
    start,
    end,
  }: {
    readonly names: ReadonlyMap<string, ReadonlySet<string>>
    readonly start: Seconds
    readonly end: Seconds
  },
): ReadonlySet<string> {
  const byName = Map.groupBy(pods, ({ namespace, name }) => `${namespace}/${name}`)
  const scraped = [...scrapes].flatMap(([instance, { times }]) => {
    const own = times.filter((time) => time > start && time <= end)
    const claims = names.get(instance)
    if (own.length === 0 || claims === undefined) return []
    return [{ instance, claims, from: Math.min(...own), to: Math.max(...own) }]
  })
  // Indexed by name: comparing each pair of 40,000 addresses took a minute.
  const byClaim = new Map<string, typeof scraped>()
  for (const one of scraped)
    for (const name of one.claims) {
      const others = byClaim.get(name)
      if (others === undefined) byClaim.set(name, [one])
      else others.push(one)
    }
  const lived = (pod: PodFacts, from: Seconds, to: Seconds) =>
    pod.life.from - END_SECONDS <= from && (pod.life.to ?? Infinity) + END_SECONDS >= to
  return new Set(
    scraped
      .filter(({ instance, claims, from, to }) => {
        const [name, ...more] = claims
        if (name === undefined || more.length > 0) return false
        const isAlone = (byClaim.get(name) ?? []).every(
          (other) => other.instance === instance || other.from > to || other.to < from,
        )
        const namesakes = byName.get(name) ?? []
        const isListed = namesakes.some(
          ({ unlisted, life }) => unlisted === undefined && life.from <= to && (life.to ?? Infinity) >= from,
        )
        return (
          isAlone &&
          !isListed &&
          namesakes.some((pod) => pod.unlisted !== undefined && pod.meshed && lived(pod, from, to))
        )
      })
      .map(({ instance }) => instance),
  )
}
