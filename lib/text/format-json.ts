import type { Destination, Source } from '../model/path.ts'
import type { PathRow } from '../model/history.ts'

// Characters that a terminal would interpret or hide: names come from clusters and are hostile input.
const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu

/** One line of JSON that is safe to display: invisible characters are escaped, and parsing it gives the same value. */
export function toJson(value: unknown): string {
  return JSON.stringify(value).replace(INVISIBLE, (character) =>
    Array.from(
      { length: character.length },
      (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`,
    ).join(''),
  )
}

/** A row of history as in `paths --json` and the API. */
export function pathJson(row: PathRow): Readonly<Record<string, unknown>> {
  return {
    ...row,
    source: endJson(row.source),
    destination: endJson(row.destination),
    candidates: row.candidates.map(endJson),
  }
}

/** An end of a path without its absent fields: an end without a mesh identity is `{"kind":"unmeshed"}`. */
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
