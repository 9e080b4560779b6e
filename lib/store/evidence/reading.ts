/** Reports which evidence a process is reading, in case the process is killed. */

/** Callbacks, called before each step that may take long or fill the memory, so that the last call is right if the process is killed. */
export type ReadingListener = {
  /** Parsing or assessing of an attempt begins, by key. */
  readonly begin: (key: string) => void
  /** Parsing or assessing ended. */
  readonly end: () => void
  /** Querying of a cluster begins: a later crash is not caused by evidence read before. */
  readonly forget: () => void
}

const NOBODY: ReadingListener = { begin: () => undefined, end: () => undefined, forget: () => undefined }

let listener = NOBODY

/** Sets the listener of this process, once, at its start. */
export function setReadingListener(told: ReadingListener): void {
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

/** Notifies the listener that querying of a cluster begins. */
export function forgetReading(): void {
  listener.forget()
}
