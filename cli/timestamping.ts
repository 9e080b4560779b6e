import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { timestampSettings } from '../lib/seal/timestamp/settings.ts'
import { TimestampError } from '../lib/seal/timestamp/timestamp-error.ts'
import { type Timestamping, timestampingBy } from '../lib/seal/timestamp/timestamping.ts'
import { printable } from '../lib/text/printable.ts'
import { type Console, UsageError } from './console.ts'

/** The options that say which time-stamping authority is asked. */
export type TsaOptions = {
  readonly tsa?: string
  readonly tsaCa?: string
  readonly tsaPolicy?: string
  readonly tsaHttp?: boolean
}

/** Adds the options that {@link openTimestamping} reads. */
export function addTimestampOptions(command: Command): Command {
  return command
    .option(
      '--tsa <url>',
      'get a time stamp (RFC 3161) of the checkpoint of each report from this authority (default CIPHERTRAIL_TSA, else none)',
    )
    .option('--tsa-ca <file>', '... whose certificates are in this file of PEM (default CIPHERTRAIL_TSA_CA)')
    .option('--tsa-policy <oid>', '... under this policy (default CIPHERTRAIL_TSA_POLICY, else its own)')
    .option('--tsa-http', '... also where its address begins with http; needs --tsa-ca')
}

/** The authority that is asked; null if none is named. Throws UsageError. */
export async function openTimestamping(
  { tsa, tsaCa, tsaPolicy, tsaHttp }: TsaOptions,
  { config }: Console,
): Promise<Timestamping | null> {
  const url = tsa ?? config.tsa
  if (url === undefined) {
    if (tsaCa !== undefined || tsaPolicy !== undefined || tsaHttp === true)
      throw new UsageError('Cannot get time stamps: name the authority with --tsa or CIPHERTRAIL_TSA')
    return null
  }
  const given = tsaCa ?? config.tsaCertificates
  try {
    const settings = timestampSettings({
      url,
      mayBeHttp: tsaHttp === true || config.tsaHttp === 'allow',
      policy: tsaPolicy ?? config.tsaPolicy,
      authorities: given === undefined ? undefined : await readCertificates(given),
    })
    return timestampingBy(settings, config.allowedNetworks)
  } catch (error) {
    if (!(error instanceof TimestampError)) throw error
    throw new UsageError(`Cannot get time stamps from the authority that is named: ${printable(error.message)}`)
  }
}

/** The text of a file of certificates, or that text itself, which can be read. Throws UsageError. */
export async function readCertificates(given: string): Promise<string> {
  if (given.includes('-----BEGIN')) return checked(given, 'CIPHERTRAIL_TSA_CA')
  let text: string
  try {
    text = await readFile(given, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'it failed'
    throw new UsageError(`Cannot read certificates "${printable(given)}": ${code}, wanted a file of PEM`)
  }
  return checked(text, `"${printable(given)}"`)
}

async function checked(pem: string, name: string): Promise<string> {
  // Loaded on demand: most runs need no certificates.
  const { readAuthorities } = await import('../lib/seal/timestamp/authorities.ts')
  try {
    readAuthorities(pem)
    return pem
  } catch (error) {
    if (!(error instanceof TimestampError)) throw error
    throw new UsageError(`Cannot use certificates ${name}: ${error.message}`)
  }
}
