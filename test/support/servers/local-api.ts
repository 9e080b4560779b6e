import type { TestContext } from 'node:test'
import type { Access } from '../../../lib/query/access/access.ts'
import { createApi } from '../../../lib/query/api.ts'
import type { ApiDeps, RequestLog } from '../../../lib/query/api-deps.ts'
import { listen } from '../../../lib/query/listen.ts'
import { ASKED_AT, fillHistories } from '../stored/asked-store.ts'
import { memoryObjects } from '../stored/memory-objects.ts'

/** Lets everybody in who says who they are: `Bearer all`, or the clusters. */
const trusting: Access = async (request) => {
  const [, clusters] = /^Bearer (.*)$/.exec(request.headers.get('authorization') ?? '') ?? []
  if (clusters === undefined) return undefined
  return { subject: clusters, clusters: clusters === 'all' ? 'all' : clusters.split(',') }
}

/** How a test asks. */
export type Asking = {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly redirect?: 'follow' | 'manual'
}

/** The API of a store behind a real server. */
export type LocalApi = {
  readonly url: string
  readonly logged: readonly RequestLog[]
  /** Asks as somebody who may see everything, unless the headers say otherwise. */
  readonly ask: (path: string, init?: Asking) => Promise<Response>
}

/** Serves a store, by default the histories of `asked-store.ts`, until the test ends. */
export async function startApi(t: Pick<TestContext, 'after'>, changes: Partial<ApiDeps> = {}): Promise<LocalApi> {
  const logged: RequestLog[] = []
  const objects = changes.objects ?? memoryObjects()
  if (changes.objects === undefined) await fillHistories(objects)
  const app = createApi('1.2.3', {
    objects,
    now: () => ASKED_AT,
    access: trusting,
    isHealthy: async () => true,
    log: (line) => logged.push(line),
    ...changes,
  })
  const server = await listen(app.fetch, { host: '127.0.0.1', port: 0 })
  t.after(() => server.close(0))
  return {
    url: server.url,
    logged,
    ask: (path, init = {}) =>
      fetch(new URL(path, server.url), { ...init, headers: { authorization: 'Bearer all', ...init.headers } }),
  }
}
