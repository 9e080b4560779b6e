import { readFile } from 'node:fs/promises'
import type { CredentialPlaces } from './credential-places.ts'
import { readPlaced } from './credential-places.ts'
import { oneLine } from '../text/redact.ts'
import { SetupError } from './errors.ts'

/** The credentials to send with a request. */
export type SentCredentials = {
  readonly headers: Readonly<Record<string, string>>
  /** Parts of it that must never appear in a message. */
  readonly secrets: readonly string[]
}

/** The header of a bearer token. */
export function bearer(token: string): SentCredentials {
  return { headers: { authorization: `Bearer ${token}` }, secrets: [token] }
}

/** The header of a user and password. */
export function basicCredentials(user: string, password: string): SentCredentials {
  const encoded = Buffer.from(`${user}:${password}`).toString('base64')
  return { headers: { authorization: `Basic ${encoded}` }, secrets: [password, encoded] }
}

/**
 * The only line of a file that holds a token or a password, trimmed.
 *
 * @param name in messages: `the token file`
 * @throws SetupError if it cannot be read, is empty, or has more lines
 */
export async function readSecret(file: string, name: string, places?: CredentialPlaces): Promise<string> {
  const text = (await readText(file, name, places)).trim()
  if (text === '') throw new SetupError(`${name} "${oneLine(file)}" is empty`)
  if (/\p{Cc}/u.test(text)) throw new SetupError(`${name} "${oneLine(file)}" holds more than one line`)
  if (text.startsWith('PRIVATE+KEY+'))
    throw new SetupError(`${name} "${oneLine(file)}" is refused: it holds a private key of a log`)
  return text
}

/** The text of a file, which must be in an allowed place if these are given. Throws SetupError with the reason if it cannot be read. */
export async function readText(file: string, name: string, places?: CredentialPlaces): Promise<string> {
  try {
    return await (places === undefined ? readFile(file, 'utf8') : readPlaced(file, name, places))
  } catch (error) {
    if (error instanceof SetupError) throw error
    throw new SetupError(`${name} "${oneLine(file)}" ${unreadWords(error)}`)
  }
}

/** Why a file was not read, in words that follow its name. */
export function unreadWords(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'it failed'
  const known = { ENOENT: 'does not exist', EACCES: 'may not be read', EISDIR: 'is a folder' }[code]
  return known ?? `cannot be read (${code})`
}
