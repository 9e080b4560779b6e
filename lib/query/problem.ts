import { StoreError } from '../store/objects/objects.ts'
import { printable } from '../text/printable.ts'

/** What can go wrong with a request, with the status and the title of its problem document. */
const PROBLEMS = {
  'bad-parameter': [400, 'A parameter cannot be used'],
  'not-authenticated': [401, 'Not authenticated'],
  'not-allowed': [403, 'Whoever asks may see nothing here'],
  'not-found': [404, 'Not found'],
  'method-not-allowed': [405, 'Method not allowed'],
  'not-acceptable': [406, 'The answer has none of the wanted forms'],
  'history-changed': [409, 'What is listed changed between two pages'],
  'not-ready': [409, 'What was asked for is not there yet'],
  failed: [500, 'The answer could not be made'],
  unreadable: [503, 'What was asked for cannot be read'],
} as const satisfies Readonly<Record<string, readonly [number, string]>>

/** What can be wrong with a request, or with answering it. */
export type ProblemKind = keyof typeof PROBLEMS

/** The longest stretch of what somebody sent that is quoted back, in characters. */
const MAX_QUOTE_LENGTH = 100

/** A request that gets a problem document (RFC 9457) for an answer. The message is its detail: one line, for whoever asked. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError'
  readonly kind: ProblemKind
  /** The query parameter that is to blame; null where none is. */
  readonly parameter: string | null
  constructor(kind: ProblemKind, detail: string, parameter: string | null = null) {
    super(detail)
    this.kind = kind
    this.parameter = parameter
  }
}

/** A parameter that cannot be used, with what was wanted instead. */
export function badParameter(parameter: string, value: string, wanted: string): ProblemError {
  return new ProblemError('bad-parameter', `Cannot use ${parameter} ${quoted(value)}: wanted ${wanted}`, parameter)
}

/** What somebody sent, fit to be shown: printable, cut, in quotes. */
export function quoted(text: string): string {
  const shown = printable(text)
  return `"${shown.length > MAX_QUOTE_LENGTH ? `${shown.slice(0, MAX_QUOTE_LENGTH)}…` : shown}"`
}

/** The status of a problem. */
export function statusOf(kind: ProblemKind): number {
  return PROBLEMS[kind][0]
}

/** The problem document of an error, as RFC 9457 has it, with `parameter` as the one extension. */
export function problemDocument({ kind, message, parameter }: ProblemError): Readonly<Record<string, string | number>> {
  const [status, title] = PROBLEMS[kind]
  return {
    type: `urn:ciphertrail:problem:${kind}`,
    title,
    status,
    detail: message,
    ...(parameter === null ? {} : { parameter: printable(parameter) }),
  }
}

/** All kinds of problems. */
export function problemKinds(): readonly ProblemKind[] {
  return Object.keys(PROBLEMS) as ProblemKind[]
}

/** The problem of an address at which the API has nothing. */
export const NOT_FOUND = new ProblemError('not-found', 'Cannot find this: there is no such place in the API')

/** What somebody outside may know of an error. */
export function problemOf(thrown: unknown): ProblemError {
  if (thrown instanceof ProblemError) return thrown
  if (thrown instanceof StoreError)
    return new ProblemError(
      'unreadable',
      'Cannot read the store now: ask again later, or look into the log of the service',
    )
  return new ProblemError('failed', 'Cannot answer because of a failure in the service: its log tells more')
}
