import { printable } from '../../../lib/text/printable.ts'
import type { ClusterAccount } from '../../../lib/seal/verify/account.ts'
import type { Verification } from '../../../lib/seal/verify/verify-period.ts'
import { findingLines } from '../log.ts'
import { type TerminalColumn, tableLines } from '../../terminal-table.ts'
import { countWords, plural } from '../../../lib/report/words/vocabulary.ts'

/** So many kinds of findings, and of objects that are not sealed, are on the page: `--json` has more. */
const MAX_SHOWN = 20

/** What `verify` prints: the result first, then what it rests on, then what was not shown. */
export function verificationLines(verification: Verification): string[] {
  const { clusters, findings, unsealed, checkpoint, isWhole } = verification
  return [
    resultOf(verification),
    ...findingLines(findings, 'findings (--json)', MAX_SHOWN).map((line) => `  ${line}`),
    '',
    ...(checkpoint === null ? ['Log       nothing that this key signed was found'] : logLines(verification)),
    ...(isWhole ? contentLines(verification) : []),
    ...(clusters.length === 0 ? [] : ['', ...tableLines(clusters, COLUMNS)]),
    ...(unsealed === null || unsealed.total === 0
      ? []
      : [
          '',
          `Not sealed: ${plural(unsealed.total, 'object')}, of which nothing is proved:`,
          ...unsealedLines(unsealed).map((line) => `  ${line}`),
        ]),
    '',
    ...notShown(verification).map((line) => `Not shown: ${line}`),
  ]
}

function resultOf({ findings, objects, checkpoint, isPartial, key }: Verification): string {
  const by = key.from === 'given' ? '' : ' by the key in the store itself'
  if (findings.total > 0) return `Not verified: ${plural(findings.total, 'finding')}.`
  const leaves = plural(checkpoint?.size ?? 0, 'leaf', 'leaves')
  if (isPartial && objects.missing > 0)
    return `Verified in part${by}: ${leaves} are as they were signed; of ${plural(objects.asSealed + objects.missing, 'object')} that they name, ${countWords(objects.asSealed)} are in this copy and are as they were sealed, ${countWords(objects.missing)} are not in it.`
  return `Verified${by}: ${leaves} are as they were signed, and ${plural(objects.asSealed, 'object')} that they name are there as they were sealed.`
}

function logLines({ key, checkpoint, since }: Verification): string[] {
  const root = Buffer.from(checkpoint?.root ?? []).toString('base64')
  return [
    `Log       ${printable(checkpoint?.origin ?? '')}, ${plural(checkpoint?.size ?? 0, 'leaf', 'leaves')}, root ${root}`,
    `Key       ${printable(key.vkey ?? '')}`,
    ...(key.from === 'given'
      ? ['          as given']
      : [
          '          from the store itself: compare it with the key that you keep elsewhere. Who wrote the store could have written both',
        ]),
    ...(since === null
      ? []
      : [
          `Since     a checkpoint of ${plural(since.size, 'leaf', 'leaves')}: the log ${since.isContinued ? 'begins with them, and they are unchanged' : 'does not go on from it'}`,
        ]),
  ]
}

function contentLines({ objects, kinds, heartbeats }: Verification): string[] {
  const named = objects.asSealed + objects.changed + objects.missing
  const ofKinds = Object.entries(kinds).map(([kind, number]) => `${number} ${kind}`)
  return [
    `Leaves    ${ofKinds.join(', ') || 'none'}`,
    `Objects   ${named} named, ${objects.asSealed} as sealed (${megabytes(objects.bytes)}), ${objects.changed} changed, ${objects.missing} missing`,
    ...(heartbeats === null
      ? []
      : [`Quiet     runs that found nothing to seal from ${heartbeats.first} to ${heartbeats.last}`]),
  ]
}

function notShown({ key, since, checkpoint, isPartial, objects }: Verification): string[] {
  if (checkpoint === null) return ['anything about this store']
  return [
    ...(since === null
      ? ['that the store was not rolled back or rewritten as a whole (give --since with a checkpoint that you kept)']
      : []),
    ...(key.from === 'store' ? ['that the log is the one you expect (give --key)'] : []),
    ...(isPartial && objects.missing > 0
      ? [`what ${plural(objects.missing, 'object')} held that this copy lacks`]
      : []),
    'what the attempts saw, and what is derived from them (the report; "ciphertrail log check")',
  ]
}

const COLUMNS: readonly TerminalColumn<ClusterAccount>[] = [
  { heading: 'CLUSTER', text: ({ cluster }) => cluster },
  { heading: 'FROM', text: ({ from }) => from },
  { heading: 'TO', text: ({ to }) => to },
  { heading: 'WINDOWS', text: ({ windows }) => String(windows) },
  { heading: 'ATTEMPTS', text: ({ attempts }) => String(attempts) },
  { heading: 'GAPS', text: ({ gaps, filledLater }) => gapsText(gaps, filledLater) },
  {
    heading: 'NO LEAF',
    text: ({ untold: [first, ...more] }) =>
      first === undefined
        ? '-'
        : `${first.start} to ${first.end}${more.length === 0 ? '' : ` and ${plural(more.length, 'other stretch', 'other stretches')}`}`,
  },
]

function gapsText(gaps: ClusterAccount['gaps'], filledLater: number): string {
  const reasons = Object.entries(gaps).map(([reason, number]) => `${number} ${reason}`)
  return [...reasons, ...(filledLater === 0 ? [] : [`${filledLater} filled later`])].join(', ') || '-'
}

function unsealedLines({ keys, total }: NonNullable<Verification['unsealed']>): string[] {
  return findingLines({ kept: keys.map((key) => ({ key, problem: '' })), total }, 'objects (--json)', MAX_SHOWN)
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}
