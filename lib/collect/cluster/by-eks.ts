import aws4 from 'aws4'
import * as z from 'zod'
import type { EksCluster } from '../../model/registry.ts'
import type { Connections } from '../../net/connections.ts'
import { CLOCK_HINT, awsKeys, readKeys, secretsOf, signingDate, signingKeys } from '../../net/aws.ts'
import type { AwsKeys, KeySource } from '../../net/aws.ts'
import { bearer } from '../../net/credential-files.ts'
import type { SentCredentials } from '../../net/credential-files.ts'
import type { ApiServer } from './by-kubeconfig.ts'
import { requestJson } from '../../net/http-retries.ts'
import { parseJson } from '../../text/parse-json.ts'
import { oneLine } from '../../text/redact.ts'
import { SetupError, SourceError } from '../../net/errors.ts'
import type { Limits, Server } from '../../net/http-attempt.ts'

/** EKS accepts a token for a quarter of an hour after it was signed (aws-iam-authenticator: pkg/token/token.go). */
const TOKEN_LIFE_MS = 15 * 60 * 1000

/** A token is renewed before its remaining life is shorter than the longest request deadline plus clock skew. */
const RENEWED_BEFORE_MS = 3 * 60 * 1000

/** How long a refusal of EKS is believed after it refused two tokens. */
const REFUSED_MS = 60 * 1000

/**
 * A token for an EKS cluster: the presigned URL of a call to the regional STS ("who am I?"), bound to the cluster's name. EKS makes that call to identify the
 * caller.
 */
export function eksToken({ name, region }: EksCluster, keys: AwsKeys, now: Date): string {
  const { host, path } = aws4.sign(
    {
      host: hostOf('sts', region),
      path: `/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires=60&X-Amz-Date=${signingDate(now)}`,
      service: 'sts',
      region,
      signQuery: true,
      headers: { 'x-k8s-aws-id': name },
    },
    signingKeys(keys),
  )
  return `k8s-aws-v1.${Buffer.from(`https://${host}${path}`).toString('base64url')}`
}

function hostOf(service: 'sts' | 'eks', region: string): string {
  return `${service}.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`
}

/** The inputs of an EKS token. */
export type EksDeps = {
  /** The keys of the caller, or of the role to assume. */
  readonly keys: KeySource
  readonly now: () => Date
}

type SignedToken = {
  readonly token: string
  readonly keys: AwsKeys
  readonly signedAt: number
  /** Whether it replaces a refused token. */
  readonly isSecond: boolean
}

/**
 * The credentials for requests to an EKS cluster: a token that is signed anew before it or its keys expire, and after a refusal, which its keys may have
 * caused. EKS also refuses unknown callers, so this happens at most once a minute.
 */
export function eksCredentials(
  cluster: EksCluster,
  { keys, now }: EksDeps,
): (refused?: string) => Promise<SentCredentials> {
  let known: SignedToken | undefined
  return async (refused) => {
    const time = now()
    const kept = known
    const isRefused =
      kept !== undefined &&
      refused === bearer(kept.token).headers['authorization'] &&
      !(kept.isSecond && time.getTime() - kept.signedAt < REFUSED_MS)
    if (kept !== undefined && !isRefused && time.getTime() <= endOf(kept)) return bearer(kept.token)
    const own = await readKeys(keys, isRefused ? kept.keys : undefined)
    known = { token: eksToken(cluster, own, time), keys: own, signedAt: time.getTime(), isSecond: isRefused }
    return bearer(known.token)
  }
}

/** EKS calls STS with the keys, so a token is worthless after they have expired. */
function endOf({ signedAt, keys }: SignedToken): number {
  return Math.min(signedAt + TOKEN_LIFE_MS, keys.expiration?.getTime() ?? Infinity) - RENEWED_BEFORE_MS
}

/** The headers that authenticate a request to EKS to describe a cluster. */
export function describeHeaders(
  { name, region }: EksCluster,
  keys: AwsKeys,
  now: Date,
  host = hostOf('eks', region),
): Record<string, string> {
  const { headers = {} } = aws4.sign(
    { host, path: pathOf(name), service: 'eks', region, headers: { 'X-Amz-Date': signingDate(now) } },
    signingKeys(keys),
  )
  return Object.fromEntries(Object.entries(headers).map(([header, value]) => [header.toLowerCase(), String(value)]))
}

function pathOf(name: string): string {
  return `/clusters/${encodeURIComponent(name)}`
}

const described = z.object({
  cluster: z.object({
    endpoint: z.url({ protocol: /^https$/ }),
    certificateAuthority: z.object({ data: z.string().min(1) }),
  }),
})

/** What the request for a cluster's address needs. */
export type DescribeDeps = EksDeps & {
  /** Replaces the regional endpoint of AWS. */
  readonly endpoint: string | undefined
  readonly newPool: Connections['newPool']
  readonly limits: Limits
}

/**
 * Asks EKS for a cluster's API server URL and its certificate authority.
 *
 * @throws SetupError in one line
 */
export async function describeEks(
  { name, region }: EksCluster,
  { endpoint, newPool, limits, keys, now }: DescribeDeps,
): Promise<{ readonly url: string; readonly ca: string }> {
  const base = new URL(endpoint ?? `https://${hostOf('eks', region)}`)
  const server: Server = {
    source: 'kubernetes',
    name: 'EKS',
    limits,
    connect: async () => {
      const known = await readKeys(keys)
      const headers = describeHeaders({ name, region }, known, now(), base.host)
      return {
        dispatcher: await newPool(base.origin, { timeout: limits.deadlineMs, rejectUnauthorized: true }),
        base,
        headers,
        secrets: secretsOf(known),
      }
    },
  }
  let text: string
  try {
    text = await requestJson(server, { what: 'describe it', path: pathOf(name), hints: HINTS })
  } catch (error) {
    if (!(error instanceof SourceError)) throw error
    const hint = error.hint === undefined ? '' : `; ${error.hint}`
    throw new SetupError(
      `EKS does not describe its cluster "${oneLine(name)}" in ${oneLine(region)}: ${error.problem}${hint}`,
    )
  }
  const answer = described.safeParse(parseJson(Buffer.from(text)))
  if (!answer.success)
    throw new SetupError(`EKS does not say where its cluster "${oneLine(name)}" is: is it still being made?`)
  const { endpoint: url, certificateAuthority } = answer.data.cluster
  return { url, ca: Buffer.from(certificateAuthority.data, 'base64').toString('utf8') }
}

/** Finds the connection to an EKS cluster. Throws SetupError. */
export async function findEksServer(cluster: EksCluster, deps: Omit<DescribeDeps, keyof EksDeps>): Promise<ApiServer> {
  const keys = await awsKeys(cluster)
  const now = (): Date => new Date()
  const { url, ca } = await describeEks(cluster, { ...deps, keys, now })
  const credentials = eksCredentials(cluster, { keys, now })
  return {
    url: new URL(url),
    ca,
    serverName: undefined,
    credentials: async (refused) => ({ ...(await credentials(refused)), certificate: undefined }),
  }
}

const HINTS = {
  clock: CLOCK_HINT,
  forbidden: 'allow eks:DescribeCluster to whoever runs this, or to the role',
  'not-found': 'are the name and the region right?',
  rejected: 'are the name and the region right?',
} as const
