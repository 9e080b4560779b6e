import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

/**
 * Runs a module in a thread of its own and gives what it posts: `node:test` watches every promise of its own thread, which for a hundred thousand
 * stories takes longer than all the rest. Rejects with what the module throws.
 */
export async function inThread<T>(module: URL, workerData: unknown): Promise<T> {
  const [posted] = (await once(new Worker(module, { workerData }), 'message')) as [T]
  return posted
}
