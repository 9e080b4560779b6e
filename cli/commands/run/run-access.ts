import type { Command } from 'commander'
import { readText } from '../../../lib/net/credential-files.ts'
import { addressCheck } from '../../../lib/net/refused-addresses.ts'
import {
  type Access,
  TokenFileError,
  firstAccess,
  loopbackAccess,
  parseTokens,
  tokenAccess,
} from '../../../lib/query/access/access.ts'
import { jwtAccess, publishedKeys } from '../../../lib/query/access/jwt.ts'
import { printable } from '../../../lib/text/printable.ts'
import type { Config } from '../../../lib/config.ts'
import { UsageError } from '../../console.ts'
import { refuseReadable } from './refuse-readable.ts'
import { type SignInOptions, addSignInOptions } from './run-sign-in.ts'

/** The options that say who gets in. */
export type AccessOptions = SignInOptions & {
  readonly tokenFile?: string
  readonly jwtIssuer?: string
  readonly jwtAudience?: string
  readonly jwtKeys?: string
  readonly jwtClaim: string
}

/** Adds the options that {@link openAccess} and `openSignIn` read. */
export function addAccessOptions(command: Command): Command {
  const withTokens = command
    .option('--token-file <file>', 'who gets in: a token a line, and after it the clusters that it opens')
    .option('--jwt-issuer <url>', 'who gets in, too: whoever has a token (JWT) of this issuer')
    .option('--jwt-audience <name>', '... with this audience')
    .option('--jwt-keys <url>', '... and signed by a key of this JWKS')
    .option(
      '--jwt-claim <name>',
      '... the claim that names the clusters, of those who sign in, too',
      'ciphertrail_clusters',
    )
  return addSignInOptions(withTokens)
}

/** Who gets in by a token; undefined where no option says so. Throws UsageError, and an `Error` of one line for a file that cannot be used. */
export async function openAccess(
  options: AccessOptions,
  { config, now }: { readonly config: Pick<Config, 'allowedNetworks'>; readonly now: () => Date },
): Promise<Access | undefined> {
  const { tokenFile } = options
  const ways = [
    ...(tokenFile === undefined ? [] : [await fileAccess(tokenFile)]),
    ...tokensOfIssuer(options, config, now),
  ]
  return ways.length === 0 ? undefined : firstAccess(ways)
}

/** Lets in nobody by a token: where people sign in only. */
export const noTokens: Access = async () => undefined

/** On loopback everybody on this machine gets in where nobody else is named; elsewhere somebody must be. Throws UsageError. */
export function accessOn(host: string, access: Access | undefined): Access {
  if (access === undefined && !isLoopback(host))
    throw new UsageError(
      `Cannot listen on "${printable(host)}" for everybody: wanted --token-file, --jwt-issuer or --oidc-issuer, or a loopback address such as 127.0.0.1`,
    )
  return access ?? loopbackAccess
}

/**
 * Refuses an address of the pages that others reach, where nothing says who gets in: all who come through a proxy on this machine come from loopback. Throws
 * UsageError.
 *
 * @param url null where none is known
 */
export function refuseOpenUrl(url: string | null, access: Access | undefined): void {
  if (access !== undefined || url === null || isLoopback(new URL(url).hostname.replace(/^\[(.*)\]$/, '$1'))) return
  throw new UsageError(
    `Cannot answer at "${printable(url)}" for everybody: wanted --token-file, --jwt-issuer or --oidc-issuer, or no --url (CIPHERTRAIL_URL) but of a loopback address`,
  )
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)

function tokensOfIssuer(
  { jwtIssuer: issuer, jwtAudience: audience, jwtKeys, jwtClaim: claim }: AccessOptions,
  { allowedNetworks }: Pick<Config, 'allowedNetworks'>,
  now: () => Date,
): Access[] {
  if (issuer === undefined && audience === undefined && jwtKeys === undefined) return []
  if (issuer === undefined || audience === undefined || jwtKeys === undefined)
    throw new UsageError(
      'Cannot check tokens of an issuer: wanted --jwt-issuer, --jwt-audience and --jwt-keys together',
    )
  return [
    jwtAccess({ issuer, audience, claim }, publishedKeys(readKeysUrl(jwtKeys), addressCheck(allowedNetworks)), now),
  ]
}

/** Whoever can change the keys on their way lets himself in. */
function readKeysUrl(text: string): URL {
  const url = URL.parse(text)
  const isHere = url?.hostname === '127.0.0.1' || url?.hostname === 'localhost' || url?.hostname === '[::1]'
  if (url !== null && (url.protocol === 'https:' || (url.protocol === 'http:' && isHere)) && url.username === '')
    return url
  throw new UsageError(
    `Cannot read keys from "${printable(text)}": wanted an address such as https://login.example.com/keys`,
  )
}

/** A file that is wrong is told at the start; one that becomes so later lets nobody in. */
async function fileAccess(file: string): Promise<Access> {
  const tokens = async () => {
    await refuseReadable(file, 'the token file')
    return parseTokens(await readText(file, 'the token file'))
  }
  try {
    await tokens()
  } catch (error) {
    if (!(error instanceof TokenFileError) && error instanceof Error)
      throw new Error(`Cannot let anybody in: ${error.message}`, { cause: error })
    throw error
  }
  return tokenAccess(tokens)
}
