/** Reports which evidence a process is reading, in case the process is killed. */

/** Callbacks, called before each step that may take long or fill the memory, so that the last call is right if the process is killed. */
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

/** Sets the listener of this process, once, at its start. */
export function tellReading(told: ReadingListener): void {
  listener = told
}

/** Runs a function on the evidence of a key, and notifies the listener before and after. */
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
