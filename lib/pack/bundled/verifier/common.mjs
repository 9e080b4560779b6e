// What every part of the verifier uses.
import { createHash } from 'node:crypto'

export const SAFE = /^(?!.*(^|\/)\.)[A-Za-z0-9_=][A-Za-z0-9._=-]*(\/[A-Za-z0-9_=-][A-Za-z0-9._=-]*)*$/
export const SEALED = /^(evidence|changes|reports)\//

export const findings = []
export const add = (where, problem) => findings.push(`${where}: ${problem}`)
export const plain = (text) =>
  Array.from(String(text))
    .map((c) => (/[\p{C}\p{Zl}\p{Zp}]/u.test(c) ? '\uFFFD' : c))
    .join('')
    .slice(0, 500)
export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')
export const same = (a, b) => Buffer.compare(a, b) === 0

export class Broken extends Error {}
export const broken = (where, problem) => new Broken(`${where}: ${problem}`)

export function parse(bytes) {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return undefined
  }
}
