/** Keeps what people ask at once from being read at once: a read of all clusters takes most of the memory that there is. */

/** So much waits to be read that whoever asks now had better ask again. */
export class BusyError extends Error {
  override readonly name = 'BusyError'
}

/**
 * Runs reads, so many at once; the others wait in the order in which they came. What waits is run whether or not somebody still asks. Rejects with
 * {@link BusyError} where so many wait already.
 */
export function createReadLimit(atOnce: number, waiting: number): <T>(read: () => Promise<T>) => Promise<T> {
  const queue: (() => void)[] = []
  let running = 0

  return async (read) => {
    if (running < atOnce) running += 1
    else if (queue.length < waiting) await new Promise<void>((resolve) => queue.push(resolve))
    else
      throw new BusyError(
        `Cannot read more now: ${running === 1 ? '1 read is' : `${running} reads are`} under way and ${queue.length} wait`,
      )
    try {
      return await read()
    } finally {
      // The next one takes this place over, so that nobody comes between.
      const next = queue.shift()
      if (next === undefined) running -= 1
      else next()
    }
  }
}
