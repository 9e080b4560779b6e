/**
 * Makes a starter of runs that are independent of all other work, one at a time, so that a server that hangs delays nothing else. It does nothing while a run
 * goes on, or where the service stopped.
 *
 * @param begin counts a run among those that a stop waits for
 */
export function oneAtATime(
  run: () => Promise<void>,
  begin: (work: () => Promise<void>) => Promise<void>,
  isStopped: () => boolean,
): () => void {
  let isRunning = false
  return () => {
    if (isRunning || isStopped()) return
    isRunning = true
    void begin(() => run().finally(() => (isRunning = false)))
  }
}
