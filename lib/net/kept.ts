/** Returns the cached value; requests a new one if the caller was refused with it. */
type Kept<T> = (isRefused: (value: T) => boolean) => Promise<T>

/**
 * Caches the value of a source while it is valid, with one request for concurrent callers, and reads it again after it was refused. Failures are not cached.
 *
 * @param source receives whether its value was refused, so that it returns none that it cached itself
 */
export function kept<T>(source: (isRefused: boolean) => Promise<T>, holds: (value: T) => boolean): Kept<T> {
  let known: Promise<T> | undefined
  const renew = (isRefused = false): Promise<T> => {
    const asked = source(isRefused)
    known = asked
    asked.catch(() => {
      if (known === asked) known = undefined
    })
    return asked
  }
  return async (isRefused) => {
    const asked = known ?? renew()
    const value = await asked
    const wasRefused = isRefused(value)
    if (!wasRefused && holds(value)) return value
    return known === asked || known === undefined ? renew(wasRefused) : known
  }
}
