import type { Destination, PathRow, Source } from '../lib/model.ts'

/** A row of `paths --json` (design: section 6). */
export function pathJson(row: PathRow): string {
  return JSON.stringify({
    ...row,
    source: endJson(row.source),
    destination: endJson(row.destination),
    candidates: row.candidates.map(endJson),
  })
}

/** An end of a path without the fields that it has not: who has no mesh identity is `{"kind":"unmeshed"}` (contracts: section 4). */
export function endJson(end: Source | Destination): Readonly<Record<string, string | null>> {
  const { kind, namespace, name, ...others } = end
  const isNobody = kind === 'unmeshed' || kind === 'probe'
  return {
    kind,
    ...(namespace === '' ? {} : { namespace }),
    ...(name === '' ? {} : { name }),
    ...(isNobody ? {} : others),
  }
}
