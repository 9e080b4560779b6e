import { relative, resolve, sep } from 'node:path'
import type { Command } from 'commander'
import { printable } from '../lib/text/printable.ts'
import { isOrigin } from '../lib/seal/key/key.ts'
import { keyFileSigner } from '../lib/seal/key/key-file.ts'
import { fileLastHead, type LastHead } from '../lib/seal/write/last-head.ts'
import type { Signer } from '../lib/seal/tlog/note.ts'
import { type Console, UsageError } from './console.ts'
import { placeOf, storePlace } from './open-store.ts'

/** The options that say which key signs the log. */
export type SignerOptions = {
  readonly key?: string
  readonly kmsKey?: string
  readonly name?: string
  readonly store?: string
}

/** Adds the options that {@link openSigner} reads. */
export function addSignerOptions(command: Command): Command {
  return command
    .option('--key <file>', 'the key that signs (default CIPHERTRAIL_KEY, else beside the store: <store>.key)')
    .option('--kms-key <arn>', 'a key in AWS KMS instead, of type ECC_NIST_EDWARDS25519')
    .option('--name <origin>', 'with --kms-key: the name of the log, such as example.com/ciphertrail')
}

/** The key that signs the log. The SDK of AWS is loaded only where its key is asked for. Throws UsageError. */
export async function openSigner(options: SignerOptions, console: Console): Promise<Signer> {
  const { key, kmsKey, name } = options
  if (kmsKey === undefined) {
    if (name !== undefined)
      throw new UsageError('Cannot use --name without --kms-key: a key file holds the name that it was made with')
    return keyFileSigner(keyFileOf(options, console))
  }
  if (key !== undefined) throw new UsageError('Cannot use --key and --kms-key together: the log has one key')
  if (name === undefined)
    throw new UsageError(
      'Cannot use --kms-key without --name: wanted the name of the log, such as example.com/ciphertrail',
    )
  const origin = readOrigin(name)
  const { kmsSigner } = await import('../lib/seal/key/kms.ts')
  return kmsSigner({ keyId: kmsKey, name: origin })
}

/**
 * Where the key remembers the head that it signed last: in what CIPHERTRAIL_LOG_HEAD names, else in a file beside a key file, else nowhere. Throws
 * UsageError as {@link keyFileOf} does.
 */
export async function openLastHead(options: SignerOptions, console: Console): Promise<LastHead | undefined> {
  const { logHead } = console.config
  if (logHead?.startsWith('arn:') === true) {
    const { parameterLastHead } = await import('../lib/seal/write/parameter-last-head.ts')
    return parameterLastHead(logHead)
  }
  const path = logHead ?? (options.kmsKey === undefined ? `${keyFileOf(options, console)}.head` : undefined)
  return path === undefined ? undefined : fileLastHead(resolve(path), storePlace(options, console))
}

/** Reads the name of a log. Throws UsageError. */
export function readOrigin(text: string): string {
  if (isOrigin(text)) return text
  throw new UsageError(
    `Cannot name a log "${printable(text)}": wanted an address without "https://", such as example.com/ciphertrail; nothing needs to answer there`,
  )
}

/** Where the key file is: as said, or beside the store. Throws UsageError for a place inside the store, which others may read, and write. */
export function keyFileOf({ key, store }: Pick<SignerOptions, 'key' | 'store'>, { config }: Console): string {
  const place = placeOf({ store }, config)
  const isDirectory = !place.includes('://')
  const given = key ?? config.key
  if (given === undefined && !isDirectory)
    throw new UsageError(
      `Cannot find the key of store "${printable(place)}": say where it is with --key or CIPHERTRAIL_KEY, or use --kms-key`,
    )
  const file = given ?? `${resolve(place)}.key`
  const way = relative(resolve(place), resolve(file))
  if (isDirectory && way !== '..' && !way.startsWith(`..${sep}`))
    throw new UsageError(
      `Cannot use key file "${printable(file)}": it lies inside the store, whose log it signs; keep it elsewhere`,
    )
  return file
}
