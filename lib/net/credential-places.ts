import { constants } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { open, realpath, stat } from 'node:fs/promises'
import { relative, sep } from 'node:path'
import { oneLine } from '../text/redact.ts'
import { SetupError } from './errors.ts'

/** Where credentials may be read, as set when the command was started; nothing in a store changes it. */
export type CredentialPlaces = {
  /** The only allowed folders; undefined: any folder of a trusted registration. */
  readonly folders?: readonly string[] | undefined
  /** Allowed prefixes of names of AWS secrets; undefined: as above. */
  readonly secrets?: readonly string[] | undefined
  /** Files and folders with another purpose, and that purpose: `the key of the log`. No credential is read from there. */
  readonly never: readonly { readonly path: string; readonly what: string }[]
}

/** Tokens and kubeconfigs are smaller. */
const MAX_BYTES = 10_000_000

/**
 * The text of a file that holds a credential, or says how to get one.
 *
 * @param name in messages: `the token file`
 * @throws SetupError if it is in a folder that is not allowed or is not a file; the system's error if it cannot be opened
 */
export async function readPlaced(file: string, name: string, places: CredentialPlaces): Promise<string> {
  // A pipe or a terminal would block.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const { size } = await checkPlaced(handle, file, name, places)
    if (size > MAX_BYTES) throw new SetupError(`${name} "${oneLine(file)}" is too large`)
    return await handle.readFile('utf8')
  } finally {
    await handle.close()
  }
}

/** Refuses a file outside of the allowed places. Throws as {@link readPlaced} does. */
export async function checkPlace(file: string, name: string, places: CredentialPlaces): Promise<void> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    await checkPlaced(handle, file, name, places)
  } finally {
    await handle.close()
  }
}

async function checkPlaced(
  handle: FileHandle,
  file: string,
  name: string,
  { folders, never }: CredentialPlaces,
): Promise<{ readonly size: number }> {
  const opened = await handle.stat()
  const called = `${name} "${oneLine(file)}"`
  if (!opened.isFile()) throw new SetupError(`${called} is ${opened.isDirectory() ? 'a folder' : 'no file'}`)
  const real = await realpath(file)
  const there = await stat(real)
  if (there.ino !== opened.ino || there.dev !== opened.dev) throw new SetupError(`${called} was replaced meanwhile`)
  for (const { path, what } of never) {
    const place = await placeOf(path)
    if (place === undefined) continue
    // Another name, such as a hard link, is the same file.
    if (isInside(place.path, real) || (place.ino === opened.ino && place.dev === opened.dev))
      throw new SetupError(`${called} is refused: it is ${isSame(place.path, real) ? '' : 'a file of '}${what}`)
  }
  if (folders === undefined) return opened
  for (const folder of folders) {
    const place = await placeOf(folder)
    if (place !== undefined && isInside(place.path, real)) return opened
  }
  throw new SetupError(`${called} is refused: it lies in no folder that CIPHERTRAIL_CREDENTIALS names`)
}

/** Throws SetupError for an AWS secret without an allowed prefix. */
export function checkSecret(secret: string, { secrets }: CredentialPlaces): void {
  if (secrets === undefined || secrets.some((prefix) => prefix !== '' && isCovered(secret, prefix))) return
  throw new SetupError(
    `the secret "${oneLine(secret)}" is refused: its name begins with nothing that CIPHERTRAIL_SECRETS names`,
  )
}

/** AWS appends six characters to an ARN, which a name does not have. */
function isCovered(secret: string, prefix: string): boolean {
  if (secret.startsWith(prefix)) return true
  const [, name] = /^arn:[^:]+:secretsmanager:[^:]+:\d{12}:secret:(.+)-[A-Za-z0-9]{6}$/.exec(prefix) ?? []
  return name === secret
}

async function placeOf(
  path: string,
): Promise<{ readonly path: string; readonly ino: number; readonly dev: number } | undefined> {
  try {
    const real = await realpath(path)
    const { ino, dev } = await stat(real)
    return { path: real, ino, dev }
  } catch {
    return undefined
  }
}

function isSame(place: string, real: string): boolean {
  return relative(place, real) === ''
}

function isInside(place: string, real: string): boolean {
  const way = relative(place, real)
  return way !== '..' && !way.startsWith(`..${sep}`)
}
