import aws4 from 'aws4'
import { errorMessage } from './error-messages.ts'
import { kept } from './kept.ts'
import { withoutSecrets } from '../text/redact.ts'
import { SetupError } from './errors.ts'
import type { SentRequest } from './http-attempt.ts'

/** The remedy if AWS rejects a signature as too old or too new. */
export const CLOCK_HINT = 'the clock of this machine is wrong by minutes, set it by NTP'

/** AWS credentials, as its SDK finds them. */
export type AwsKeys = {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
  /** When the keys and their signatures expire; absent: unknown. */
  readonly expiration?: Date | undefined
}

/** Returns the current keys; requests new ones if its cached keys were refused. Throws what the SDK throws. */
export type KeySource = (refused?: AwsKeys) => Promise<AwsKeys>

/**
 * The credentials of the environment as every AWS program finds them (variables, shared files, a container's or a function's role), or those of a role that
 * they may assume. Cached until shortly before they expire: the SDK requests new ones each time (a role, for each request).
 */
export async function awsKeys({
  region,
  roleArn,
}: {
  readonly region: string
  readonly roleArn?: string
}): Promise<KeySource> {
  const { fromNodeProviderChain, fromTemporaryCredentials } = await import('@aws-sdk/credential-providers')
  const own = fromNodeProviderChain({ clientConfig: { region } })
  if (roleArn === undefined)
    return keptKeys(
      (forceRefresh) => own({ forceRefresh }),
      () => new Date(),
    )
  const assumed = fromTemporaryCredentials({
    masterCredentials: own,
    params: { RoleArn: roleArn, RoleSessionName: 'ciphertrail' },
    clientConfig: { region },
  })
  return keptKeys(
    () => assumed(),
    () => new Date(),
  )
}

/** Keys are renewed before their remaining life is shorter than a request plus clock skew. */
const RENEWED_BEFORE_MS = 3 * 60 * 1000

/**
 * Caches the keys of a source until they expire, with one request for concurrent callers; failures are not cached. Keys without an expiry are cached until they
 * are refused.
 *
 * @param source receives whether keys were refused, so that it returns none that it cached itself
 */
export function keptKeys(source: (isRefused: boolean) => Promise<AwsKeys>, now: () => Date): KeySource {
  const ask = kept(
    source,
    ({ expiration }) => expiration === undefined || expiration.getTime() - now().getTime() > RENEWED_BEFORE_MS,
  )
  return (refused) => ask((keys) => keys === refused)
}

/** The keys of a source. Throws SetupError of one line if there are none. */
export async function readKeys(keys: KeySource, refused?: AwsKeys): Promise<AwsKeys> {
  try {
    return await keys(refused)
  } catch (error) {
    throw new SetupError(`there are no credentials of AWS (${withoutSecrets(errorMessage(error), [])})`)
  }
}

/** Parts of keys that must never appear in a message. */
export function secretsOf({ secretAccessKey, sessionToken }: AwsKeys): readonly string[] {
  return [secretAccessKey, sessionToken ?? '']
}

/** Keys in the form of aws4, which distinguishes an absent session token from an undefined one. */
export function signingKeys({ accessKeyId, secretAccessKey, sessionToken }: AwsKeys): aws4.Credentials {
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) }
}

/** `20261124T123456Z` */
export function signingDate(now: Date): string {
  return now.toISOString().replaceAll(/[-:]|\.\d+/g, '')
}

/**
 * The headers that sign one request with Signature Version 4. An attacker who intercepts them cannot send another request with them.
 *
 * @param place the service and region that the signature is for: `aps`, `eu-central-1`
 */
export function signedHeaders(
  { method, host, path, type, body }: SentRequest,
  place: { readonly service: string; readonly region: string },
  keys: AwsKeys,
  now: Date,
): Readonly<Record<string, string>> {
  const { headers = {} } = aws4.sign(
    {
      ...place,
      method,
      host,
      path,
      ...(body === undefined ? {} : { body }),
      headers: { 'X-Amz-Date': signingDate(now), ...(type === undefined ? {} : { 'Content-Type': type }) },
    },
    signingKeys(keys),
  )
  const sent = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)] as const)
  return Object.fromEntries(sent.filter(([name]) => name === 'authorization' || name.startsWith('x-amz-')))
}
