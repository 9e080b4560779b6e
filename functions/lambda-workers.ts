/** Workers of a function: evidence may kill them, but not the function. */
import { fileURLToPath } from 'node:url'
import { type WorkerPool, workerPool } from '../lib/jobs/workers/worker-pool.ts'
import type { Objects } from '../lib/store/objects/objects.ts'

/** Time of the function that remains after a worker was killed, in milliseconds. */
const LEFT_MS = 15_000

const MAX_READING_MS = 5 * 60 * 1000

const ENTRY = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './lambda-worker.ts' : './worker.mjs', import.meta.url),
)

/** Runs a function with workers that end with it: a sleeping container must not have any. */
export async function withWorkers<T>(
  objects: Objects,
  leftMs: () => number,
  run: (workers: WorkerPool) => Promise<T>,
): Promise<T> {
  const readingMs = Math.max(1000, Math.min(MAX_READING_MS, leftMs() - LEFT_MS))
  const workers = workerPool({ entry: ENTRY, readingMs }, objects)
  try {
    return await run(workers)
  } finally {
    workers.close()
  }
}
