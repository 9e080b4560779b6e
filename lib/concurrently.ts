/** Runs something for each item, at most so many at once, and gives the outcomes in the order of the items. Begins none after a failure. */
export async function concurrently<T, R>(
  items: readonly T[],
  most: number,
  run: (item: T) => Promise<R>,
): Promise<R[]> {
  const outcomes: R[] = []
  let next = 0
  let hasFailed = false
  const work = async (): Promise<void> => {
    for (let at = next++; at < items.length && !hasFailed; at = next++) {
      const item = items[at]
      if (item === undefined) continue
      try {
        outcomes[at] = await run(item)
      } catch (error) {
        hasFailed = true
        throw error
      }
    }
  }
  const workers = await Promise.allSettled(Array.from({ length: Math.min(most, items.length) }, work))
  for (const worker of workers) if (worker.status === 'rejected') throw worker.reason
  return outcomes
}

/** Returns a function that runs whatever it is given, at most so many at once, in the order in which they come. */
export function atMost(most: number): <T>(run: () => Promise<T>) => Promise<T> {
  let running = 0
  const waiting: (() => void)[] = []
  return async (run) => {
    if (running < most) running++
    else await new Promise<void>((begin) => waiting.push(begin))
    try {
      return await run()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running--
      else next()
    }
  }
}
