/** The pages and the API of a store behind a server, as `serve` and `demo --serve` start it. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readStatus } from '../lib/jobs/read-status.ts'
import type { Access } from '../lib/query/access/access.ts'
import { localTokenAccess } from '../lib/query/access/local-token.ts'
import { type Listening, listen } from '../lib/query/listen.ts'
import { type SiteDeps, createSite } from '../lib/query/site.ts'
import { rememberEvidence } from '../lib/store/evidence/find-evidence.ts'
import type { Objects } from '../lib/store/objects/objects.ts'
import { readClusters } from '../lib/store/registry/registry.ts'
import type { RunLog } from './commands/run/run-log.ts'
import type { Console } from './console.ts'

/** Resolves once the process is told to end. */
export async function untilStopped(): Promise<void> {
  await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
}

/** A site that answers. */
export type RunningSite = Listening & {
  /** The address that lets in whoever has it; null where tokens do. */
  readonly link: string | null
}

/**
 * Serves a store. Without `access` it makes a token of its own, which is right on a loopback address only.
 *
 * @param settings `log`: null logs failures alone, on standard error
 */
export async function startSite(
  {
    objects: stored,
    host,
    port,
    access,
    url,
    log,
    signIn,
    takesTokens = true,
  }: {
    readonly objects: Objects
    readonly host: string
    readonly port: number
    readonly access: Access | null
    readonly url: string | null
    readonly log: RunLog | null
  } & Pick<SiteDeps, 'signIn' | 'takesTokens'>,
  { version, now, err }: Pick<Console, 'version' | 'now' | 'err'>,
): Promise<RunningSite> {
  const objects = rememberEvidence(stored, now)
  const token = randomBytes(32).toString('base64url')
  const site = createSite(version, {
    objects,
    now,
    access: access ?? localTokenAccess(token),
    hasLink: access === null,
    isSecure: url?.startsWith('https:') === true,
    signIn,
    takesTokens,
    readStatus: (asked) => readStatus({ ...asked, version }, { objects }),
    isHealthy: async () => {
      await readClusters({ objects })
      return true
    },
    log: ({ error, ...request }) => {
      if (log !== null)
        log(error === null ? 'info' : 'error', 'request', error === null ? request : { ...request, error })
      else if (error !== null) err(`Cannot answer ${request.path}: ${error}`)
    },
  })
  const server = await listen(site.fetch, { host, port })
  return { ...server, link: access === null ? `${server.url}/enter/${token}` : null }
}
