import { withoutSecrets } from '../../../text/redact.ts'
import { StoreError } from '../objects.ts'
import type { S3Place } from './address.ts'
import { formatStoreUrl } from './address.ts'

/** The failed call, for the error message. */
export type FailedCall = {
  /** After "Cannot ": `read "state/shop.json" from`. */
  readonly what: string
  readonly place: S3Place
  /** The permissions that it needs, the most likely missing one first. */
  readonly actions: readonly string[]
  readonly limits: { readonly attempts: number; readonly deadlineMs: number }
  /** Credentials, which no message may hold. */
  readonly secrets: readonly string[]
}

/** The facts of any error; the SDK's errors differ by name. */
type Failure = {
  readonly name: string
  readonly code: string
  readonly status: number | undefined
  readonly headers: Readonly<Record<string, string>>
  /** The server's message, on one line and without credentials. */
  readonly said: string
}

type Wording = (failure: Failure, call: FailedCall) => string

const RENEW: Wording = () => 'the credentials have expired, renew them and run it again'
const UNKNOWN: Wording = () => 'S3 does not know the credentials, check AWS_PROFILE or AWS_ACCESS_KEY_ID'
const BUSY: Wording = (_, { limits }) => `S3 was busy or failed at all ${limits.attempts} tries, run it again later`
const RACED: Wording = (_, { limits }) =>
  `others wrote it at the same moment at all ${limits.attempts} tries, run it again`
const CHANGED: Wording = () => 'the bytes that reached S3 are not those that were sent, run it again'
const NO_CREDENTIALS: Wording = ({ said }) =>
  `no credentials can be had ("${said}"), set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role`
const DENIED: Wording = ({ said }, { actions, place }) => {
  const [denied] = /not authorized to perform: ([a-z\d-]+:[A-Za-z]+)/.exec(said)?.slice(1) ?? []
  const needed = denied === undefined ? actions.join(' and ') : denied
  const resource = needed === 's3:ListBucket' ? place.bucket : `${place.bucket}/${place.prefix}*`
  return `access is denied, the credentials need ${needed} on "arn:aws:s3:::${resource}"`
}
const ELSEWHERE: Wording = ({ headers, said }) => {
  const [region] = /^[a-z\d-]+$/.exec(headers['x-amz-bucket-region'] ?? '') ??
    /expecting '([a-z\d-]+)'/.exec(said)?.slice(1) ?? [undefined]
  return region === undefined
    ? 'the bucket is in another region, set AWS_REGION to that one'
    : `the bucket is in region "${region}", set AWS_REGION=${region}`
}
const NO_LOCK: Wording = () =>
  'the bucket has no Object Lock, make one that has it, or add "lock=none" to the address to keep evidence without'
const NO_NAME: Wording = () => 'the name of the endpoint cannot be resolved, check AWS_REGION and the network'
const UNREACHABLE: Wording = ({ code }) =>
  `the endpoint cannot be reached (${code}), check AWS_ENDPOINT_URL_S3 and the network`

const UNREADABLE = 'run it again; if it stays so, something else than S3 answers or the object is damaged'

/** Names of errors for answers without an S3 code. */
const UNNAMED = new Set(['Error', 'SyntaxError', 'Unknown', 'UnknownError'])

/** By the name of S3's error, or the SDK's. */
const BY_NAME: Readonly<Record<string, Wording>> = {
  NoSuchBucket: (_, { place }) => `there is no bucket "${place.bucket}", make it or name another one`,
  AccessDenied: DENIED,
  AccessDeniedException: DENIED,
  AllAccessDisabled: DENIED,
  PermanentRedirect: ELSEWHERE,
  TemporaryRedirect: ELSEWHERE,
  AuthorizationHeaderMalformed: ELSEWHERE,
  IllegalLocationConstraintException: ELSEWHERE,
  ExpiredToken: RENEW,
  ExpiredTokenException: RENEW,
  TokenRefreshRequired: RENEW,
  RequestExpired: RENEW,
  InvalidAccessKeyId: UNKNOWN,
  InvalidToken: UNKNOWN,
  UnrecognizedClientException: UNKNOWN,
  SignatureDoesNotMatch: () =>
    'the secret key does not fit the access key, or the clock of this machine is wrong, check both',
  RequestTimeTooSkewed: () => 'the clock of this machine is wrong by more than 15 minutes, set it',
  CredentialsProviderError: NO_CREDENTIALS,
  TokenProviderError: NO_CREDENTIALS,
  ProviderError: NO_CREDENTIALS,
  InvalidObjectState: () => 'it lies in an archive class, restore it there first',
  ConditionalRequestConflict: RACED,
  OperationAborted: RACED,
  SlowDown: BUSY,
  ServiceUnavailable: BUSY,
  InternalError: BUSY,
  RequestTimeout: BUSY,
  ObjectLockConfigurationNotFoundError: NO_LOCK,
  BadDigest: CHANGED,
  XAmzContentSHA256Mismatch: CHANGED,
  DeadlineError: (_, { limits }) => `no answer came within ${limits.deadlineMs / 1000} s, check the network`,
  TimeoutError: (_, { limits }) => `no answer came in time at all ${limits.attempts} tries, check the network`,
  UnexpectedAnswerError: ({ said }) => `${said}, ${UNREADABLE}`,
}

/** By Node's error code, if there was no answer. */
const BY_CODE: Readonly<Record<string, Wording>> = {
  ENOTFOUND: NO_NAME,
  EAI_AGAIN: NO_NAME,
  ECONNREFUSED: UNREACHABLE,
  EHOSTUNREACH: UNREACHABLE,
  ENETUNREACH: UNREACHABLE,
  ECONNRESET: (_, { limits }) => `the connection was closed at all ${limits.attempts} tries, run it again later`,
  EPIPE: (_, { limits }) => `the connection was closed at all ${limits.attempts} tries, run it again later`,
}

/** Describes an error of the SDK in one line: the failed call, the reason and the remedy. Our own errors are returned unchanged. */
export function s3Error(call: FailedCall, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof StoreError) return error
  const failure = describe(error, call.secrets)
  const { name, status } = failure
  const code = status === undefined ? '' : ` (${UNNAMED.has(name) ? `HTTP ${status}` : name})`
  return new StoreError(
    `Cannot ${call.what} store "${formatStoreUrl(call.place)}": ${wordingOf(failure)(failure, call)}${code}`,
    { cause: error },
  )
}

function describe(error: Error, secrets: readonly string[]): Failure {
  const metadata = '$metadata' in error ? (error.$metadata as { readonly httpStatusCode?: number }) : undefined
  const response = '$response' in error ? (error.$response as { readonly headers?: Failure['headers'] }) : undefined
  return {
    name: withoutSecrets(error.name, secrets),
    code: 'code' in error && typeof error.code === 'string' ? error.code : '',
    status: metadata?.httpStatusCode,
    headers: response?.headers ?? {},
    said: withoutSecrets(error.message, secrets),
  }
}

function wordingOf(failure: Failure): Wording {
  const { name, code, status, said } = failure
  // Node's code first: the SDK reports a closed connection as a timeout, too.
  const known =
    (Object.hasOwn(BY_CODE, code) ? BY_CODE[code] : undefined) ??
    (Object.hasOwn(BY_NAME, name) ? BY_NAME[name] : undefined)
  if (/object ?lock/i.test(said) && status === 400) return NO_LOCK
  if (known !== undefined) return known
  if (said.startsWith('Region is missing') || said.startsWith('Region not accepted'))
    return () => 'no region is known, set AWS_REGION, such as eu-central-1'
  if (status === 403) return DENIED
  if (status !== undefined && (status >= 500 || status === 429)) return BUSY
  if (status === 301 || status === 307) return ELSEWHERE
  if (/^(ERR_TLS|ERR_SSL|CERT_|DEPTH_|SELF_SIGNED|UNABLE_TO|EPROTO)/.test(code))
    return () =>
      `the certificate of the endpoint is not accepted (${code}), check AWS_ENDPOINT_URL_S3 and NODE_EXTRA_CA_CERTS`
  // The SDK could not parse it: a page of a proxy, or truncated XML.
  if (UNNAMED.has(name) && status !== undefined) return () => `its answer cannot be read, ${UNREADABLE}`
  if (status !== undefined) return () => `S3 answered ${status}, "${said}"`
  return () => `the request failed, "${said}"`
}
