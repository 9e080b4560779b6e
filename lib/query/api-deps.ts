import type { PackRouteDeps } from './routes/pack-route.ts'
import type { Access } from './access/access.ts'

/** A line of the log of requests. Holds no credential and no parameter. */
export type RequestLog = {
  readonly method: string
  /** Printable. */
  readonly path: string
  readonly status: number
  /** Who asked; null where nobody could be told. */
  readonly subject: string | null
  /** What went wrong on our side, for the operator; null where nothing did. */
  readonly error: string | null
  /** What a link from a mail led to; absent elsewhere. The subject is whose mail it stood in. */
  readonly download?: { readonly link: string; readonly channel: string; readonly report: string }
}

/** What the API needs to answer. */
export type ApiDeps = PackRouteDeps & {
  readonly access: Access
  /** Whether the service does its work: `/health` says so to everybody. */
  readonly isHealthy: () => Promise<boolean>
  readonly log: (line: RequestLog) => void
}
