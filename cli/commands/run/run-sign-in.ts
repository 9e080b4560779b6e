import { randomBytes } from 'node:crypto'
import type { Command } from 'commander'
import type { Config } from '../../../lib/config.ts'
import { readSecret } from '../../../lib/net/credential-files.ts'
import { addressCheck, refuseAddress } from '../../../lib/net/refused-addresses.ts'
import { createIssuer } from '../../../lib/query/oidc/create-issuer.ts'
import { createSealer } from '../../../lib/query/oidc/sealed.ts'
import { isClientId, isScope, isWayBack, issuerUrl } from '../../../lib/query/oidc/settings.ts'
import type { SiteDeps } from '../../../lib/query/site.ts'
import { printable } from '../../../lib/text/printable.ts'
import { UsageError } from '../../console.ts'
import { refuseReadable } from './refuse-readable.ts'

/** The options that say where people sign in. */
export type SignInOptions = {
  readonly oidcIssuer?: string
  readonly oidcClient?: string
  readonly oidcSecretFile?: string
  readonly oidcScope: string
}

/** Adds the options that {@link openIssuerSignIn} reads. */
export function addSignInOptions(command: Command): Command {
  return command
    .option(
      '--oidc-issuer <url>',
      'people sign in on the pages at this OpenID Connect issuer; --url says where it leads back',
    )
    .option('--oidc-client <id>', '... which knows this server as this client')
    .option('--oidc-secret-file <file>', '... with the secret in this file (default: a public client, which has none)')
    .option('--oidc-scope <scopes>', '... which is asked for these scopes', 'openid')
}

/** Where people sign in; undefined if no option says so. Throws UsageError, and an `Error` of one line for a secret that cannot be used. */
export async function openIssuerSignIn(
  {
    oidcIssuer,
    oidcClient: clientId,
    oidcSecretFile: file,
    oidcScope: scope,
    jwtClaim: claim,
  }: SignInOptions & { readonly jwtClaim: string },
  url: string | null,
  { config, now }: { readonly config: Pick<Config, 'allowedNetworks'>; readonly now: () => Date },
): Promise<NonNullable<SiteDeps['signIn']> | undefined> {
  if (oidcIssuer === undefined && clientId === undefined && file === undefined) return undefined
  if (oidcIssuer === undefined || clientId === undefined)
    throw new UsageError('Cannot let people sign in: wanted --oidc-issuer and --oidc-client together')
  const issuer = issuerUrl(oidcIssuer)
  if (issuer === undefined)
    throw new UsageError(
      `Cannot let people sign in at "${printable(oidcIssuer)}": wanted the URL of an issuer, such as https://login.example.com`,
    )
  if (!isClientId(clientId))
    throw new UsageError(
      `Cannot let people sign in as client "${printable(clientId)}": wanted the id that the issuer gave this client`,
    )
  if (!isScope(scope))
    throw new UsageError(
      `Cannot ask for the scopes "${printable(scope)}": wanted names separated by spaces, "openid" among them`,
    )
  if (url === null)
    throw new UsageError(
      'Cannot let people sign in: wanted --url (CIPHERTRAIL_URL), to which the issuer leads them back',
    )
  if (!isWayBack(new URL(url)))
    throw new UsageError(
      `Cannot let people sign in at "${printable(url)}": wanted a --url with https and without a path, such as https://ciphertrail.example.com`,
    )
  const check = addressCheck(config.allowedNetworks)
  try {
    refuseAddress(issuer, check)
  } catch (error) {
    throw new UsageError(
      `Cannot let people sign in at "${printable(oidcIssuer)}": ${error instanceof Error ? error.message : 'it is refused'}`,
    )
  }
  const clientSecret = file === undefined ? null : secretOf(file)
  // Wrong at the start is told at the start; it may be replaced at any time.
  await clientSecret?.()
  // A secret of this process: a restart ends all sessions.
  const key = randomBytes(32)
  return {
    issuer: createIssuer({ issuer: issuer.href, clientId, scope, claim, url }, { clientSecret, check, now }),
    sealer: createSealer(async () => key),
  }
}

function secretOf(file: string): () => Promise<string> {
  return async () => {
    try {
      await refuseReadable(file, 'the client secret file')
      return await readSecret(file, 'the client secret file')
    } catch (error) {
      throw new Error(`Cannot let people sign in: ${error instanceof Error ? error.message : 'it failed'}`, {
        cause: error,
      })
    }
  }
}
