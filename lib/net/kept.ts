/** Gives what is kept; asked anew where the caller was refused with it. */
type Kept<T> = (isRefused: (value: T) => boolean) => Promise<T>

/**
 * Asks a source once for as long as what it gave holds, however many ask at once, and again where it was refused. A failure is not kept.
 *
 * @param source is told whether what it gave was refused, so that it gives nothing that it kept itself
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
