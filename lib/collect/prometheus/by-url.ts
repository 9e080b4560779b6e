import type { Pool } from 'undici'
import type { PrometheusAuth } from '../../model/registry.ts'
import { addressCheck, checkedLookup, refuseAddress } from '../../net/refused-addresses.ts'
import { CLOCK_HINT, awsKeys, readKeys, secretsOf, signedHeaders } from '../../net/aws.ts'
import type { KeySource } from '../../net/aws.ts'
import type { Connections } from '../../net/connections.ts'
import { basicCredentials, bearer, readSecret, readText } from '../../net/credential-files.ts'
import type { SentCredentials } from '../../net/credential-files.ts'
import type { CredentialPlaces } from '../../net/credential-places.ts'
import { mayCarryCredentials } from '../../net/may-carry-credentials.ts'
import { COMMON_HINTS } from './transport.ts'
import type { PrometheusTransport } from './transport.ts'
import { oneLine } from '../../text/redact.ts'
import { SetupError } from '../../net/errors.ts'
import type { Hints } from '../../net/errors.ts'
import type { Connection, Limits } from '../../net/http-attempt.ts'

/** What reaching a registered URL needs. */
export type UrlDeps = {
  /** See {@link addressCheck}. */
  readonly allowedNetworks: string | undefined
  /** Where credentials may be read; undefined: anywhere. */
  readonly places?: CredentialPlaces | undefined
  readonly newPool: Connections['newPool']
  readonly limits: Limits
}

/** Connects to a registered URL, with the credentials in the registered files. */
export function prometheusByUrl(
  address: string,
  auth: PrometheusAuth,
  { allowedNetworks, places, newPool, limits }: UrlDeps,
): PrometheusTransport {
  let pool: { readonly dispatcher: Pool; readonly of: string } | undefined
  let keys: KeySource | undefined
  const signing = async (region: string): Promise<Pick<Connection, 'sign' | 'secrets'>> => {
    const { sigv4RoleArn: roleArn } = auth
    keys ??= await awsKeys({ region, ...(roleArn === undefined ? {} : { roleArn }) })
    const known = await readKeys(keys)
    return {
      sign: (request) => signedHeaders(request, { service: 'aps', region }, known, new Date()),
      secrets: secretsOf(known),
    }
  }
  return {
    source: 'metrics',
    name: 'Prometheus',
    limits,
    hints: auth.sigv4Region === undefined ? URL_HINTS : SIGV4_HINTS,
    servers: () => [],
    connect: async (): Promise<Connection> => {
      const base = baseOf(address)
      const check = addressCheck(allowedNetworks)
      refuseAddress(base, check)
      const { headers, secrets, tls } = await readAuth(auth, base, places)
      // Certificates are renewed, and new ones need new connections.
      const of = JSON.stringify(tls)
      if (pool?.of !== of) {
        const options = { timeout: limits.deadlineMs, rejectUnauthorized: true, lookup: checkedLookup(check), ...tls }
        pool = { dispatcher: await newPool(base.origin, options), of }
      }
      const signed = auth.sigv4Region === undefined ? { secrets } : await signing(auth.sigv4Region)
      return { dispatcher: pool.dispatcher, base, headers, ...signed }
    },
  }
}

type ReadAuth = SentCredentials & {
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string }
}

/** Reads credentials from files. They are sent over TLS or to this machine only. */
async function readAuth(auth: PrometheusAuth, base: URL, places: CredentialPlaces | undefined): Promise<ReadAuth> {
  const { tokenFile, user, passwordFile, certFile, keyFile, caFile } = auth
  const hasSecret = tokenFile !== undefined || user !== undefined || auth.sigv4Region !== undefined
  if (hasSecret && !mayCarryCredentials(base))
    throw new SetupError('credentials would go over plain HTTP: give an address of Prometheus that begins with https')
  const sent =
    tokenFile !== undefined
      ? bearer(await readSecret(tokenFile, 'the token file of Prometheus', places))
      : user !== undefined && passwordFile !== undefined
        ? basicCredentials(user, await readSecret(passwordFile, 'the password file of Prometheus', places))
        : { headers: {}, secrets: [] }
  const tls = {
    ...(caFile === undefined ? {} : { ca: await readText(caFile, 'the authority of Prometheus', places) }),
    ...(certFile === undefined
      ? {}
      : { cert: await readText(certFile, 'the client certificate for Prometheus', places) }),
    ...(keyFile === undefined ? {} : { key: await readText(keyFile, 'the client key for Prometheus', places) }),
  }
  return { ...sent, tls }
}

function baseOf(text: string): URL {
  if (!URL.canParse(text)) throw new SetupError(`the address of Prometheus is no URL: "${oneLine(text)}"`)
  const url = new URL(text)
  if (url.username !== '' || url.password !== '')
    throw new SetupError('the address of Prometheus holds a user or password, which would be stored: remove them')
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new SetupError(`the address of Prometheus begins with "${oneLine(url.protocol)}": use http or https`)
  return url
}

const URL_HINTS: Hints = {
  ...COMMON_HINTS,
  unauthorized:
    'are the credentials right? They are read from --prometheus-token-file, or --prometheus-user with --prometheus-password-file',
  forbidden:
    "viz's own Prometheus only answers over a port-forward, which is the way where no --prometheus-url is registered",
  'not-found': "is --prometheus-url Prometheus' address, with its path prefix?",
  connection: 'is it running, and can it be reached from here?',
  certificate: 'name its authority with --prometheus-ca-file, or correct the name in --prometheus-url',
  redirect: 'give the address that it redirects to, with --prometheus-url',
  malformed: 'is --prometheus-url the address of a Prometheus?',
}

const SIGV4_HINTS: Hints = {
  ...URL_HINTS,
  unauthorized: 'may the keys of AWS, or the role, do aps:QueryMetrics on this workspace?',
  forbidden: 'allow aps:QueryMetrics on this workspace to the keys of AWS, or to the role, and look at the region',
  clock: CLOCK_HINT,
  'not-found': 'is --prometheus-url https://aps-workspaces.<region>.amazonaws.com/workspaces/<workspace>?',
}
