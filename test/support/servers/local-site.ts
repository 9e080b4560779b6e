import type { TestContext } from 'node:test'
import { readStatus } from '../../../lib/jobs/read-status.ts'
import { parseTokens, tokenAccess } from '../../../lib/query/access/access.ts'
import type { RequestLog } from '../../../lib/query/api-deps.ts'
import { listen } from '../../../lib/query/listen.ts'
import { type SiteDeps, createSite } from '../../../lib/query/site.ts'
import { ASKED_AT, fillHistories } from '../stored/asked-store.ts'
import { memoryObjects } from '../stored/memory-objects.ts'

/** Opens every cluster, one of them, and none that is there. */
export const TOKENS = {
  all: 'a'.repeat(32),
  west: 'b'.repeat(32),
  elsewhere: 'c'.repeat(32),
} as const

const FILE = `${TOKENS.all}\n${TOKENS.west} west\n${TOKENS.elsewhere} nowhere\n`

/** A site behind a real server. */
export type LocalSite = {
  readonly url: string
  readonly logged: readonly RequestLog[]
  /** Asks with whatever headers; follows nothing. */
  readonly ask: (path: string, init?: RequestInit) => Promise<Response>
  /** Signs in as a browser does, and gives the cookie. */
  readonly signIn: (token: string) => Promise<string>
  /** The text of a page for whoever has a cookie. Throws where it is no page. */
  readonly page: (path: string, cookie: string) => Promise<string>
}

/** Serves a store, by default the histories of `asked-store.ts`, until the test ends. */
export async function startLocalSite(
  t: Pick<TestContext, 'after'>,
  changes: Partial<SiteDeps> = {},
  /** Where people sign in, for a site at this address. */
  signInAt?: (url: string) => SiteDeps['signIn'],
): Promise<LocalSite> {
  const logged: RequestLog[] = []
  const objects = changes.objects ?? memoryObjects()
  if (changes.objects === undefined) await fillHistories(objects)
  // Where it is, an issuer must know before.
  let fetchOf: ReturnType<typeof createSite>['fetch'] = () => new Response(null, { status: 503 })
  const server = await listen((request) => fetchOf(request), { host: '127.0.0.1', port: 0 })
  t.after(() => server.close(0))
  const site = createSite('1.2.3', {
    objects,
    now: () => ASKED_AT,
    access: tokenAccess(async () => parseTokens(FILE)),
    hasLink: false,
    isSecure: false,
    readStatus: (asked) => readStatus({ ...asked, version: '1.2.3' }, { objects }),
    isHealthy: async () => true,
    log: (line) => logged.push(line),
    signIn: signInAt?.(server.url),
    ...changes,
  })
  fetchOf = site.fetch
  const ask: LocalSite['ask'] = (path, init = {}) => fetch(new URL(path, server.url), { redirect: 'manual', ...init })
  return {
    url: server.url,
    logged,
    ask,
    async signIn(token) {
      const response = await ask('/sign-in', { method: 'POST', body: new URLSearchParams({ token }) })
      return (response.headers.get('set-cookie') ?? '').split(';')[0] ?? ''
    },
    async page(path, cookie) {
      const response = await ask(path, { headers: { cookie } })
      const text = await response.text()
      if (response.status !== 200) throw new Error(`${path}: ${response.status} ${text}`)
      return text
    },
  }
}
