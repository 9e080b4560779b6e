/** The failed source: the Kubernetes API, Prometheus, the dashboard of linkerd-viz, or a proxy read by its pod's name. */
export type SourceName = 'kubernetes' | 'metrics' | 'viz' | 'proxies'

/** The kind of a failure; each has its own wording and, from the caller, its own hint. */
export type FailureKind =
  | 'configuration'
  | 'unauthorized'
  | 'forbidden'
  | 'not-found'
  | 'rejected'
  | 'rate-limited'
  | 'server'
  | 'timeout'
  | 'certificate'
  | 'clock'
  | 'connection'
  | 'redirect'
  | 'malformed'
  | 'too-large'

/** The remedy for each kind of failure, in a few words that follow a semicolon. */
export type Hints = Readonly<Partial<Record<FailureKind, string>>>

/**
 * A source could not be read. The message is one line: what failed, what was found and the remedy. It holds no credential: text from a server is truncated,
 * cleaned and searched for the credentials that were sent.
 */
export class SourceError extends Error {
  override readonly name = 'SourceError'
  readonly source: SourceName
  readonly kind: FailureKind
  /** What failed: `list pods of cluster "prod"`. */
  readonly what: string
  /** The state found and its remedy: the other parts of the message. */
  readonly problem: string
  readonly hint: string | undefined
  /** The HTTP status, if there was an answer. */
  readonly status: number | undefined

  constructor(
    { source, what }: { readonly source: SourceName; readonly what: string },
    kind: FailureKind,
    problem: string,
    { status, hint }: { readonly status?: number | undefined; readonly hint?: string | undefined } = {},
  ) {
    super(`Cannot ${what}: ${problem}${hint === undefined ? '' : `; ${hint}`}`)
    this.source = source
    this.kind = kind
    this.what = what
    this.problem = problem
    this.hint = hint
    this.status = status
  }
}

/** A server that cannot be used because of the user's setup. The message continues "Cannot ...: ". */
export class SetupError extends Error {
  override readonly name = 'SetupError'
}

/**
 * A server that could not be reached this time. The message continues "Cannot ...: " and holds no credential. Thrown by {@link Server.connect}, or by the
 * function that opens the connections of its dispatcher.
 */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError'
  readonly kind: FailureKind
  /** Whether a retry may help. */
  readonly again: boolean
  /** Replaces the request's own hint for this kind. */
  readonly hint: string | undefined

  constructor(
    kind: FailureKind,
    problem: string,
    { again = false, hint }: { readonly again?: boolean; readonly hint?: string | undefined } = {},
  ) {
    super(problem)
    this.kind = kind
    this.again = again
    this.hint = hint
  }
}
