import { STATUS_CODES } from 'node:http'
import { oneLine, withoutSecrets } from '../text/redact.ts'
import type { FailureKind } from './errors.ts'

/** The kind of a failure, and its description, which continues "Cannot ...: ". */
export type Described = { readonly kind: FailureKind; readonly problem: string }

/** Codes of lost connections; a retry may help. */
export const RETRIED_CODES: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'EAI_AGAIN', 'UND_ERR_SOCKET'])

/** Busy and broken servers; all other errors, such as a wrong request or wrong credentials, would repeat. */
export const RETRIED_STATUSES: ReadonlySet<number> = new Set([429, 500, 502, 503, 504])

/**
 * The message of an error response: `message` of a Kubernetes Status, `error` of Prometheus. Empty for any other body, such as an HTML page. Credentials in it
 * are redacted.
 */
export function reasonOf(text: string, secrets: readonly string[]): string {
  try {
    const answer: unknown = JSON.parse(text)
    if (typeof answer !== 'object' || answer === null) return ''
    const said = 'message' in answer ? answer.message : 'error' in answer ? answer.error : ''
    return typeof said === 'string' ? withoutSecrets(said, secrets) : ''
  } catch {
    return ''
  }
}

/** Describes an error response. `said` is the result of {@link reasonOf}. */
export function describeStatus(status: number, said: string, server: string, location: string): Described {
  const named = `${status} ${STATUS_CODES[status] ?? 'Unknown'}`.trim()
  const text = said === '' ? `${named} from ${server}` : `${named} from ${server}, "${said}"`
  if (status >= 300 && status < 400) {
    const to = location === '' ? '' : ` to "${hostOf(location)}"`
    return { kind: 'redirect', problem: `${named} from ${server}: a redirect${to} is not followed` }
  }
  return { kind: CLOCK.test(said) ? 'clock' : kindOfStatus(status), problem: text }
}

/** AWS errors about a signature whose time is off: with 403, or 400. */
const CLOCK = /signature (expired|not yet current)|request (has )?expired|RequestTimeTooSkewed/i

function kindOfStatus(status: number): FailureKind {
  if (status === 401) return 'unauthorized'
  if (status === 403) return 'forbidden'
  if (status === 404) return 'not-found'
  if (status === 429) return 'rate-limited'
  if (status >= 500) return 'server'
  return 'rejected'
}

const UNTRUSTED: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'INVALID_CA',
  'INVALID_PURPOSE',
])

/** Describes an error of Node or undici. `base` is the server's URL, `isReading` whether its answer had begun. */
export function describeConnection(
  error: unknown,
  server: string,
  {
    base,
    secrets,
    isReading,
  }: { readonly base: URL; readonly secrets: readonly string[]; readonly isReading: boolean },
): Described {
  const code = connectionCode(error)
  const at = `${server} at ${base.host}`
  const certificate = (problem: string): Described => ({ kind: 'certificate', problem })
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return certificate(`the certificate of ${at} is for another name (${namesOf(error)})`)
  if (UNTRUSTED.has(code)) return certificate(`the certificate of ${at} is not signed by a trusted authority (${code})`)
  if (code === 'CERT_HAS_EXPIRED') return certificate(`the certificate of ${at} has expired`)
  if (code === 'CERT_NOT_YET_VALID') return certificate(`the certificate of ${at} is not valid yet`)
  if (/^ERR_SSL_.*ALERT/.test(code))
    return certificate(`${at} refused the TLS handshake or the client certificate (${code})`)
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO')
    return { kind: 'connection', problem: `${at} does not speak TLS as expected (${code})` }
  if (code === 'ECONNREFUSED') return { kind: 'connection', problem: `${at} refused the connection` }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return { kind: 'connection', problem: `the name "${base.hostname}" of ${server} cannot be resolved` }
  if (code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT')
    return { kind: 'timeout', problem: `${at} did not accept the connection in time` }
  if (RETRIED_CODES.has(code))
    return {
      kind: 'connection',
      problem: isReading ? `${at} closed the connection in the middle of its answer` : `${at} closed the connection`,
    }
  const said = withoutSecrets(errorMessage(error), secrets)
  return { kind: 'connection', problem: `the connection to ${at} failed (${code === '' ? said : `${code}: ${said}`})` }
}

/** The names in a refused certificate. */
function namesOf(error: unknown): string {
  const certificate = error instanceof Error && 'cert' in error ? error.cert : undefined
  const names = (certificate as { subjectaltname?: unknown } | undefined)?.subjectaltname
  return typeof names === 'string' ? oneLine(names) : 'none'
}

/** Host of a redirect's target, without the rest of the URL. */
function hostOf(location: string): string {
  return URL.canParse(location) ? new URL(location).host : oneLine(location.replace(/[?#].*$/s, ''))
}

/** The message of any thrown value. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Node's code of an error, of its cause, or of the first of several (one per address tried). */
export function connectionCode(error: unknown): string {
  if (!(error instanceof Error)) return ''
  if ('code' in error && typeof error.code === 'string') return error.code
  if (error instanceof AggregateError) return connectionCode(error.errors[0])
  return connectionCode(error.cause)
}
