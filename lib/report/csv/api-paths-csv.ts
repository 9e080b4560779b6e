import type { PathRow } from '../../model/history.ts'
import type { Source } from '../../model/path.ts'
import { type Columns, csvText, endColumns, fixLines, idOf, listOf } from './csv-text.ts'

/**
 * What must be known of a cluster to read its rows, in a row of its own: that of some windows nothing can be told, or else a list without them would read as
 * good news; and that it is a replay.
 */
export type ClusterRow = {
  readonly cluster: string
  /** The period of the list. */
  readonly from: string
  readonly to: string
  readonly state: 'not-collected' | 'replay'
  /** What is not known; what the replay shows. */
  readonly reason: string
}

type Row = {
  readonly shown: PathRow | ClusterRow
  readonly path: PathRow | null
}

const NOBODY: Source = { kind: '', namespace: '', name: '', serviceAccount: null }

/** The columns of the API's `/v1/paths` as CSV; docs/api.md describes them. */
export const HISTORY_COLUMNS: Columns<Row> = {
  cluster: ({ shown }) => shown.cluster,
  path_id: ({ path }) => path?.pathId ?? null,
  ...endColumns<Row>('source', ({ path }) => path?.source ?? NOBODY),
  ...endColumns<Row>('destination', ({ path }) => path?.destination ?? NOBODY),
  destination_cluster: ({ path }) => path?.destination.cluster ?? null,
  port: ({ path }) => path?.port ?? null,
  class: ({ path }) => path?.class ?? null,
  from: ({ shown }) => shown.from,
  to: ({ shown }) => shown.to,
  state: ({ shown }) => shown.state,
  outcome: ({ path }) => path?.outcome ?? null,
  reason: ({ shown }) => shown.reason,
  cause: ({ path }) => path?.cause ?? null,
  fix: ({ path }) => fixLines([path?.fix ?? []].flat()),
  clear_share: ({ path }) => path?.clearShare ?? null,
  opens: ({ path }) => path?.opens ?? null,
  open_at_scrape: ({ path }) => path?.openAtScrape ?? null,
  bytes: ({ path }) => path?.bytes ?? null,
  corroborated: ({ path }) => path?.corroborated ?? null,
  enforcement: ({ path }) => path?.enforcement ?? null,
  candidates: ({ path }) => listOf((path?.candidates ?? []).map(idOf)),
  episode: ({ path }) => path?.episode?.id ?? null,
  opened_at: ({ path }) => path?.episode?.openedAt ?? null,
  since_unknown: ({ path }) => path?.episode?.sinceUnknown ?? null,
  ended_at: ({ path }) => path?.episode?.endedAt ?? null,
  ending: ({ path }) => path?.episode?.ending ?? null,
  waiver: ({ path }) => path?.waiver ?? null,
  evidence: ({ path }) => listOf(path?.evidence ?? []),
}

/** Rows of history as CSV, first what is told of clusters. Without names it is what follows a page that has them. */
export function historyCsv(
  clusters: readonly ClusterRow[],
  paths: readonly PathRow[],
  { hasNames }: { readonly hasNames: boolean },
): string {
  const rows: readonly Row[] = [
    ...clusters.map((shown) => ({ shown, path: null })),
    ...paths.map((path) => ({ shown: path, path })),
  ]
  return csvText(HISTORY_COLUMNS, rows, { hasNames })
}
