import { StoreError } from '../../../lib/store/objects/objects.ts'
import type { Gate, StoreRequest } from './memory-objects.ts'

/** What happens to a request: it is done, it fails before or after it was done, or its caller dies before or after it was done. */
export type Fate = 'done' | 'fails-before' | 'fails-after' | 'dies-before' | 'dies-after'

/** Something that works on a store through its gate, such as a run of `seal` or a collector. */
export type Actor = (gate: Gate) => Promise<unknown>

export type Telling = {
  readonly actors: readonly Actor[]
  /** Gives the next of the numbers from 0 to before `limit` that tell the story. */
  readonly draw: (limit: number) => number
  /** The fate of an actor's request. Actors are numbered as they are given. */
  readonly fateOf: (request: StoreRequest, actor: number) => Fate
}

type Waiting = { readonly request: StoreRequest; readonly actor: number; readonly go: (fate: Fate) => void }

/** For so long an actor may be busy with itself. */
const MAX_TURNS = 10_000

/** How many stories are told at once: a turn of the event loop costs more than a request. */
const AT_ONCE = 64

/**
 * Tells stories of actors whose requests come in an order that is drawn: each begins and goes on when its number comes up, so that any request
 * of one may come between any two of another. `ended` gets each story and what its actors came to: a value, the error that ended it, or undefined
 * for one that died. Throws where an actor waits for something else than its store.
 */
export async function tell<T extends Telling>(
  stories: Iterable<T>,
  ended: (story: T, outcomes: readonly unknown[]) => Promise<void>,
): Promise<void> {
  const told = stories[Symbol.iterator]()
  const running: { readonly story: T; readonly course: ReturnType<typeof begin> }[] = []
  for (;;) {
    while (running.length < AT_ONCE) {
      const next = told.next()
      if (next.done === true) break
      running.push({ story: next.value, course: begin(next.value) })
    }
    if (running.length === 0) return
    for (const { course } of running) course.step()
    await new Promise((resolve) => setImmediate(resolve))
    for (let at = running.length - 1; at >= 0; at--) {
      const one = running[at]
      if (one?.course.isOver() !== true) continue
      running.splice(at, 1)
      await ended(one.story, one.course.outcomes)
    }
  }
}

function begin({ actors, draw, fateOf }: Telling) {
  const waiting: Waiting[] = []
  const dead = new Set<number>()
  const over = new Set<number>()
  const outcomes: unknown[] = actors.map(() => undefined)
  let alive = actors.length
  let started = 0
  let turns = 0

  const start = (actor: number) => {
    const gate: Gate = (request, effect) =>
      new Promise((resolve, reject) => {
        if (dead.has(actor)) return
        const go = (fate: Fate) => {
          try {
            const result = fate === 'done' || fate.endsWith('-after') ? effect() : undefined
            if (fate === 'done') resolve(result as Awaited<ReturnType<typeof effect>>)
          } catch (error) {
            if (fate === 'done') reject(error)
          }
          if (fate.startsWith('fails'))
            reject(new StoreError(`Cannot ${request.member} "${request.key}": it was to fail`))
        }
        waiting.push({ request, actor, go })
      })
    const end = (outcome: unknown) => {
      outcomes[actor] = outcome
      over.add(actor)
      alive -= 1
    }
    actors[actor]?.(gate).then(end, end)
  }

  /** Whether one that began works on something else than its store, such as setting a message: it is waited for, so that the same story comes again. */
  const isAnyBusy = () => {
    const idle = new Set([...waiting.map(({ actor }) => actor), ...dead, ...over])
    return idle.size < started
  }

  return {
    outcomes,
    isOver: () => alive === 0,
    step() {
      if (isAnyBusy()) {
        if (++turns > MAX_TURNS) throw new Error('Cannot go on: an actor waits for something else than its store')
        return
      }
      turns = 0
      const at = draw(waiting.length + (started < actors.length ? 1 : 0))
      const [next] = waiting.splice(at, 1)
      if (next === undefined) {
        start(started++)
        return
      }
      const fate = fateOf(next.request, next.actor)
      next.go(fate)
      if (!fate.startsWith('dies')) return
      dead.add(next.actor)
      alive -= 1
      for (let place = waiting.length - 1; place >= 0; place--)
        if (waiting[place]?.actor === next.actor) waiting.splice(place, 1)
    },
  }
}

/** Numbers that look drawn, and are the same for the same seed (mulberry32, by Tommy Ettinger, public domain). */
export function drawer(seed: number): (limit: number) => number {
  let state = seed | 0
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * limit)
  }
}
