/** Which evidence a process is busy with, told to whoever must know should the process end. */

/** What is told. Before each call that may take long or fill the memory, so that the last one is true of a process that ended. */
export type ReadingListener = {
  /** The key of an attempt that is parsed or assessed from now on. */
  readonly begin: (key: string) => void
  /** It was parsed or assessed. */
  readonly end: () => void
  /** A cluster is asked from now on: what happens then is not of the evidence that was read before. */
  readonly forget: () => void
}

const NOBODY: ReadingListener = { begin: () => undefined, end: () => undefined, forget: () => undefined }

let listener = NOBODY

/** Sets who is told in this process, once, at its start. */
export function tellReading(told: ReadingListener): void {
  listener = told
}

/** Does something with the evidence of a key, and tells so before and after. */
export function whileReading<T>(key: string, run: () => T): T {
  listener.begin(key)
  try {
    return run()
  } finally {
    listener.end()
  }
}

/** Says that a cluster is asked from now on. */
export function forgetReading(): void {
  listener.forget()
}
