import { hash } from 'node:crypto'
import type { Endpoint } from '../../model/path.ts'

/** Returns the stable identity of a path. It leaves out ServiceAccounts: a new one changes the path but does not make another path. */
export function pathId(
  cluster: string,
  source: Endpoint,
  destination: Endpoint & { readonly cluster: string | null },
  port: number,
): string {
  const part = (text: string) => (text === '' ? null : text)
  // An array of strings, numbers and nulls is its own canonical JSON (RFC 8785).
  const identity = [
    cluster,
    source.kind,
    part(source.namespace),
    part(source.name),
    destination.kind,
    part(destination.namespace),
    part(destination.name),
    destination.cluster,
    port,
  ]
  return hash('sha256', JSON.stringify(identity), 'hex').slice(0, 16)
}
