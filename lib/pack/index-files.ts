/** The index of a pack: from a control to its rules, from a path to its evidence, from a window to its file. Made from sealed documents and leaves alone. */
import { parse } from 'csv-parse/sync'
import { stringify } from 'csv-stringify/sync'
import * as z from 'zod'
import type { Window } from '../model/time.ts'
import { compareText } from '../text/order.ts'
import { parseJson } from '../text/parse-json.ts'
import { windowText } from '../store/keys.ts'
import { INDEX_FILES } from './members.ts'
import type { SmallMember } from './log-files.ts'
import { isIn, isPacked, type NumberedLeaf, type ObjectLeaf, type PackScope } from './packed-leaves.ts'

type Row = Readonly<Record<string, string>>

/**
 * Makes the index.
 *
 * @param leaves all leaves of the log that the pack holds
 * @param documents of the report, by name
 */
export function indexMembers(
  leaves: readonly NumberedLeaf[],
  scope: PackScope,
  documents: ReadonlyMap<string, Uint8Array>,
): SmallMember[] {
  const rowsOf = (name: string): Row[] => {
    const body = documents.get(name)
    return body === undefined ? [] : parse(Buffer.from(body), { columns: true, relax_column_count: true, bom: true })
  }
  const windows = windowRows(leaves, scope)
  const findings = rowsOf('findings.csv')
  const controls = rowsOf('controls.csv')
  const bodies = [
    controlRows(controls, findings, documents.get('summary.json')),
    pathRows(rowsOf('paths.csv'), { findings, controls, windows }),
    windows,
  ]
  return INDEX_FILES.map((name, at) => ({ name, body: Buffer.from(csvOf(bodies[at] ?? [])) }))
}

/** What the report counts of each rule for each control; absent in a report of an earlier version. */
const countsSchema = z.object({
  controls: z.object({
    frameworks: z.array(
      z.object({
        id: z.string(),
        controls: z.array(
          z.object({
            id: z.string(),
            rules: z.array(
              z.object({
                id: z.string(),
                score: z.object({
                  pass: z.number(),
                  fail: z.number(),
                  waived: z.number(),
                  notEnoughEvidence: z.number(),
                  incompleteClusters: z.number(),
                }),
                notApplicable: z.number(),
              }),
            ),
          }),
        ),
      }),
    ),
  }),
})

/**
 * One row for each control and rule, with the counts of the report: those of a control's rules add up to those of the control in controls.csv. Where the
 * report does not have them, the counts are empty.
 */
function controlRows(controls: readonly Row[], findings: readonly Row[], summary: Uint8Array | undefined): Row[] {
  const keyOf = (...parts: string[]): string => JSON.stringify(parts)
  const told = summary === undefined ? undefined : countsSchema.safeParse(parseJson(summary)).data
  const counts = new Map(
    told?.controls.frameworks.flatMap((framework) =>
      framework.controls.flatMap(({ id, rules }) => rules.map((rule) => [keyOf(framework.id, id, rule.id), rule])),
    ),
  )
  // A finding about a whole cluster that no score counts is no subject of its rule.
  const subjects = findings.filter((row) => row['class'] !== '' || row['counted'] !== 'false')
  const byRule = Map.groupBy(subjects, ({ rule = '' }) => rule)
  return controls.flatMap((control) =>
    rulesOf(control).map((rule) => {
      const { framework = '', control: id = '' } = control
      const own = counts.get(keyOf(framework, id, rule))
      const { pass, fail, waived, notEnoughEvidence, incompleteClusters } = own?.score ?? {}
      const all = byRule.get(rule)?.length ?? 0
      const judged = [pass, fail, waived, notEnoughEvidence, own?.notApplicable].reduce((a = 0, b = 0) => a + b)
      return {
        framework,
        control: id,
        relation: control['relation'] ?? '',
        verdict: control['verdict'] ?? '',
        rule,
        pass: countText(pass),
        fail: countText(fail),
        waived: countText(waived),
        not_enough_evidence: countText(notEnoughEvidence),
        incomplete_clusters: countText(incompleteClusters),
        not_applicable: countText(own?.notApplicable),
        not_judged: countText(own === undefined ? undefined : all - (judged ?? 0)),
        findings: 'data/findings.csv',
      }
    }),
  )
}

function countText(count: number | undefined): string {
  return count === undefined ? '' : String(count)
}

function rulesOf(control: Row): string[] {
  return (control['rules'] ?? '').split('; ').filter((rule) => rule !== '')
}

/** One row for each path, with the rules it fails, the controls these test, and the evidence of its period. */
function pathRows(
  paths: readonly Row[],
  {
    findings,
    controls,
    windows,
  }: { readonly findings: readonly Row[]; readonly controls: readonly Row[]; readonly windows: readonly Row[] },
): Row[] {
  const failed = Map.groupBy(
    findings.filter(({ verdict }) => verdict === 'fail'),
    ({ cluster = '', path_id: id = '' }) => `${cluster}/${id}`,
  )
  const ofPeriod = Map.groupBy(
    windows.filter(({ in_period: isOf, evidence }) => isOf === 'true' && evidence !== ''),
    ({ cluster = '' }) => cluster,
  )
  return paths.map((path) => {
    const { cluster = '', path_id: id = '' } = path
    const rules = [...new Set((failed.get(`${cluster}/${id}`) ?? []).map(({ rule = '' }) => rule))]
    const own = ofPeriod.get(cluster) ?? []
    return {
      cluster,
      path_id: id,
      source: nameOf(path, 'source'),
      destination: nameOf(path, 'destination'),
      port: path['port'] ?? '',
      class: path['class'] ?? '',
      verdict: path['verdict'] ?? '',
      state: path['state'] ?? '',
      windows: path['windows'] ?? '',
      windows_not_encrypted: path['windows_not_encrypted'] ?? '',
      failed_rules: rules.join('; '),
      controls: controls
        .filter((control) => rulesOf(control).some((rule) => rules.includes(rule)))
        .map(({ framework = '', control = '' }) => `${framework} ${control}`)
        .join('; '),
      evidence_files: String(own.length),
      first_evidence: own[0]?.['evidence'] ?? '',
      last_evidence: own.at(-1)?.['evidence'] ?? '',
    }
  })
}

function nameOf(path: Row, end: 'source' | 'destination'): string {
  const parts = ['kind', 'namespace', 'name'].map((part) => path[`${end}_${part}`] ?? '')
  return parts.filter((part) => part !== '').join('/')
}

/** One row for each attempt, capture and gap that was sealed up to the pack's head, oldest window first. */
function windowRows(leaves: readonly NumberedLeaf[], scope: PackScope): Row[] {
  const { clusters, period } = scope.record
  const rows = leaves.flatMap(({ number, leaf }) => {
    if (leaf.kind === 'gap')
      return clusters.includes(leaf.cluster) && isIn(leaf.window.end, period)
        ? [windowRow(leaf, number, leaf.window, { status: leaf.reason })]
        : []
    if (!isPacked({ number, leaf }, scope)) return []
    if (leaf.kind !== 'snapshot' || leaf.window === undefined) return []
    const { key: evidence, sha256, size } = leaf
    return [windowRow(leaf, number, leaf.window, { status: 'attempt', evidence, sha256, size: String(size) })]
  })
  const placeOf = (row: Row): string => `${row['window'] ?? ''} ${row['cluster'] ?? ''} ${row['evidence'] ?? ''}`
  const sorted = rows.toSorted((a, b) => compareText(placeOf(a), placeOf(b)))
  return sorted.map((row) => ({ ...row, in_period: String(isIn(row['end'] ?? '', period)) }))
}

function windowRow(
  { cluster = '' }: { readonly cluster?: string },
  leaf: number,
  window: Window,
  { status, evidence = '', sha256 = '', size = '' }: Partial<Record<'status' | 'evidence' | 'sha256' | 'size', string>>,
): Row {
  const { start, end } = window
  return {
    cluster,
    start,
    end,
    window: windowText(window),
    in_period: '',
    status: status ?? '',
    evidence,
    sha256,
    size,
    leaf: String(leaf),
  }
}

/** Names in sealed documents were made harmless when these were made, and are put here as they stand there. */
function csvOf(rows: readonly Row[]): string {
  const columns = Object.keys(rows[0] ?? { none: '' })
  return stringify([columns, ...rows.map((row) => columns.map((column) => row[column] ?? ''))], {
    record_delimiter: 'windows',
    escape_formulas: true,
  })
}

/** The leaves about objects that a pack holds. */
export function packedObjects(leaves: readonly NumberedLeaf[], scope: PackScope): ObjectLeaf[] {
  return leaves.flatMap(({ number, leaf }) =>
    'key' in leaf && isPacked({ number, leaf }, scope) ? [{ number, leaf }] : [],
  )
}
