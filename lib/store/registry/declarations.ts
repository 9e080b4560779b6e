import canonicalize from 'canonicalize'
import { type DeclaredScope, decodeScopes, encodeScopes, settingsOf } from '../../assess/judge/stored-scope.ts'
import { decodeWaivers, encodeWaivers } from '../../assess/judge/stored-waivers.ts'
import type { ReportSettings, Waiver } from '../../model/judgement.ts'
import { type ChangeAuthor, damagedChange, readLatestChange, recordChange } from './changes.ts'
import { type RecordKind, changeKey } from '../keys.ts'
import { ConflictError, type Objects } from '../objects/objects.ts'

/** A concurrent declaration was recorded first. One line. */
export class DeclarationError extends Error {
  override readonly name = 'DeclarationError'
}

/** A declaration as a whole, and the author and time of its last change. */
export type Declared<T> = {
  readonly declared: T
  /** Null if nothing was ever declared. */
  readonly change: { readonly number: number; readonly at: string; readonly by: string } | null
}

/** The scope in force: that of the latest change; none if none was declared. Throws an `Error` that names a damaged change. */
export async function declaredScope(objects: Objects): Promise<Declared<DeclaredScope>> {
  return readDeclared('scope', decodeScopes, { scopes: [], report: {} }, objects)
}

/** The report settings in force, with defaults for those not declared. Throws as {@link declaredScope} does. */
export async function declaredSettings(objects: Objects): Promise<ReportSettings> {
  return settingsOf((await declaredScope(objects)).declared.report)
}

/** The waivers in the register: those of the latest change; none if none were declared. Throws an `Error` that names a damaged change. */
export async function declaredWaivers(objects: Objects): Promise<Declared<readonly Waiver[]>> {
  return readDeclared('waivers', decodeWaivers, [], objects)
}

/** Declares a scope that replaces the previous one. False if it is the same. Throws {@link DeclarationError} if a concurrent declaration was first. */
export async function declareScope(scopes: DeclaredScope, author: ChangeAuthor, objects: Objects): Promise<boolean> {
  return declare('scope', encodeScopes(scopes), author, objects)
}

/** Declares waivers that replace the previous ones. False if they are the same. Throws {@link DeclarationError} if a concurrent declaration was first. */
export async function declareWaivers(
  waivers: readonly Waiver[],
  author: ChangeAuthor,
  objects: Objects,
): Promise<boolean> {
  return declare('waivers', encodeWaivers(waivers), author, objects)
}

async function readDeclared<T>(
  kind: RecordKind,
  decode: (stored: unknown) => T | undefined,
  nothing: T,
  objects: Objects,
): Promise<Declared<T>> {
  const latest = await readLatestChange(kind, objects)
  if (latest === undefined) return { declared: nothing, change: null }
  const { number, at, by, content } = latest
  const declared = decode(content)
  if (declared === undefined) throw damagedChange(changeKey(kind, number))
  return { declared, change: { number, at, by } }
}

async function declare(kind: RecordKind, content: unknown, author: ChangeAuthor, objects: Objects): Promise<boolean> {
  const latest = await readLatestChange(kind, objects)
  if (latest !== undefined && canonicalize(latest.content) === canonicalize(content)) return false
  try {
    await recordChange({ kind, number: (latest?.number ?? 0) + 1, content }, author, objects)
    return true
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error
    throw new DeclarationError(
      `Cannot declare ${kind}: somebody else did in the meantime, look at what is in force now and say it again`,
      { cause: error },
    )
  }
}
