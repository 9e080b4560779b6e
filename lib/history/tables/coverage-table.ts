import type { TimelineMonth } from '../../model/history.ts'
import { evidenceKey } from '../../store/keys.ts'
import { UnpackedWindow, attemptOf } from '../rows/packed-windows.ts'
import { type ParquetColumn, type ReadRow, encodeTable, openTable } from './parquet-table.ts'

type MonthWindow = TimelineMonth['windows'][number]

/** Table of a month's windows: expected and observed time. */
export const COVERAGE_COLUMNS: readonly ParquetColumn<MonthWindow & { readonly cluster: string }>[] = [
  {
    name: 'starts_at',
    kind: 'time',
    isRequired: true,
    isSearched: true,
    encoding: 'DELTA_BINARY_PACKED',
    of: ({ start }) => start,
  },
  {
    name: 'ends_at',
    kind: 'time',
    isRequired: true,
    isSearched: true,
    encoding: 'DELTA_BINARY_PACKED',
    of: ({ end }) => end,
  },
  { name: 'collected', kind: 'flag', isRequired: true, of: ({ collected }) => collected },
  // Sum over all proxies, in milliseconds, the precision of all measurements.
  {
    name: 'expected_ms',
    kind: 'count',
    isRequired: true,
    encoding: 'DELTA_BINARY_PACKED',
    of: ({ expectedSeconds }) => Math.round(expectedSeconds * 1000),
  },
  {
    name: 'observed_ms',
    kind: 'count',
    isRequired: true,
    encoding: 'DELTA_BINARY_PACKED',
    of: ({ observedSeconds }) => Math.round(observedSeconds * 1000),
  },
  // The attempt that was used; its evidence key can be derived from it.
  { name: 'attempt', kind: 'small', of: ({ cluster, ...window }) => attemptOf(window, cluster) ?? null },
  {
    name: 'evidence',
    kind: 'text',
    of: ({ cluster, ...window }) => (attemptOf(window, cluster) === undefined ? window.evidence : null),
  },
  { name: 'also', kind: 'text', of: ({ also }) => (also === undefined ? null : JSON.stringify(also)) },
]

/** Encodes the table of a month's windows. */
export function encodeCoverage({ cluster, windows }: Pick<TimelineMonth, 'cluster' | 'windows'>): Buffer {
  const rows = windows.map((window) => ({ ...window, cluster }))
  return encodeTable(COVERAGE_COLUMNS, rows, {})
}

/** Decodes a cluster's windows. */
export async function decodeCoverage(body: Uint8Array, cluster: string): Promise<TimelineMonth['windows']> {
  const rows = await openTable(body).read()
  return rows.map((row) => windowOf(row, cluster))
}

/** Decodes windows as {@link decodeCoverage} does. They make the keys of their evidence when these are asked for: to be read, and neither copied nor encoded. */
export async function decodeUnkeyedCoverage(body: Uint8Array, cluster: string): Promise<TimelineMonth['windows']> {
  const rows = await openTable(body).read()
  return rows.map((row) => {
    const attempt = row['attempt'] as number | null
    const isPlain = attempt === null || row['also'] !== null
    return isPlain ? windowOf(row, cluster) : new UnpackedWindow(measuredOf(row), cluster, attempt)
  })
}

function windowOf(row: ReadRow, cluster: string): MonthWindow {
  const { start, end, ...measured } = measuredOf(row)
  const attempt = row['attempt'] as number | null
  const also = row['also'] as string | null
  return {
    start,
    end,
    evidence:
      attempt === null ? (row['evidence'] as string | null) : evidenceKey({ window: { start, end }, cluster, attempt }),
    ...(also === null ? {} : { also: JSON.parse(also) as string[] }),
    ...measured,
  }
}

function measuredOf(row: ReadRow): Omit<MonthWindow, 'evidence' | 'also'> {
  const expectedSeconds = Number(row['expected_ms']) / 1000
  const observedSeconds = Number(row['observed_ms']) / 1000
  return {
    start: row['starts_at'] as string,
    end: row['ends_at'] as string,
    collected: row['collected'] as boolean,
    expectedSeconds,
    observedSeconds,
    ratio: expectedSeconds > 0 ? observedSeconds / expectedSeconds : null,
  }
}
