import { VKEY } from '../../../lib/pack/members.ts'
import type { PackVerification } from '../../../lib/pack/verify/verify-pack.ts'
import { printable } from '../../../lib/text/printable.ts'
import { findingLine } from '../log.ts'
import { checkedJson } from './checked-json.ts'
import { countWords, plural } from '../../../lib/report/words/vocabulary.ts'

/** So many findings are on the page: `--json` has more. */
const MAX_LINES = 40

/** What `verify PACK` prints: the key if it is in doubt, the result, what it rests on, what was not shown. */
export function packLines(verification: PackVerification): string[] {
  const { findings, key } = verification
  const isOther = isOtherKey(verification)
  const kept = isOther ? findings.kept.filter((finding) => finding.key !== VKEY) : findings.kept
  return [
    ...keyLines(verification),
    resultLine(verification),
    ...kept.slice(0, MAX_LINES).map((finding) => `  ${findingLine(finding.key, finding.problem)}`),
    ...(kept.length > MAX_LINES ? [`  and ${findings.total - MAX_LINES} more findings (--json)`] : []),
    '',
    ...contentLines(verification),
    '',
    ...notShown(verification).map((line) => `Not shown: ${line}`),
    ...(key.vkey === null ? ['Not shown: anything about this pack'] : []),
  ].map(printable)
}

/** What `verify PACK --json` prints. Hashes are base64, as checkpoints have them. */
export function packJson({ checkpoint, since, findings, ...rest }: PackVerification): unknown {
  return {
    verified: findings.total === 0,
    // Whoever made a pack can have signed it: by its own key alone, "verified" says nothing of who that was.
    keyTrusted: rest.key.from === 'given',
    keyMismatch: isOtherKey({ ...rest, checkpoint, since, findings }),
    ...rest,
    ...checkedJson({ checkpoint, since, findings }),
  }
}

function isOtherKey({ key }: PackVerification): boolean {
  return key.from === 'given' && key.ofPack !== null && key.ofPack !== key.vkey
}

function keyLines(verification: PackVerification): string[] {
  const { key } = verification
  if (isOtherKey(verification))
    return [
      `KEY MISMATCH: the pack was signed with ${printable(key.ofPack ?? '')}, and you trust ${printable(key.vkey ?? '')}`,
    ]
  return key.from === 'pack' && key.vkey !== null
    ? [
        `Key       ${printable(key.vkey)}`,
        '          from the pack itself: compare it with the key that you have from elsewhere, or give that with --key',
      ]
    : []
}

function resultLine({ findings, asSealed, key, notChecked }: PackVerification): string {
  if (findings.total > 0) return `Not verified: ${plural(findings.total, 'finding')}.`
  return `Verified${key.from === 'pack' ? ' by the key in the pack itself' : ''}: ${plural(asSealed.attempts, 'piece')} of evidence, the changes and the report are as they were sealed.${notChecked.length === 0 ? '' : ' README, index, controls and verifier were not checked.'}`
}

function contentLines(verification: PackVerification): string[] {
  const { key, checkpoint, since, report, members, bytes, asSealed, windows, evidence } = verification
  if (checkpoint === null) return [`Members   ${members} (${megabytes(bytes)}); nothing that the key signed was found`]
  const root = Buffer.from(checkpoint.root).toString('base64')
  return [
    `Log       ${printable(checkpoint.origin)}, ${plural(checkpoint.size, 'leaf', 'leaves')}, root ${root}`,
    ...(key.from === 'given' ? [`Key       ${printable(key.vkey ?? '')}, as given`] : []),
    ...(since === null
      ? []
      : [
          `Since     a checkpoint of ${plural(since.size, 'leaf', 'leaves')}: the log ${since.isContinued ? 'begins with them, and they are unchanged' : 'does not go on from it'}`,
        ]),
    ...timestampLines(verification),
    ...(report === null
      ? []
      : [
          `Report    ${report.key}, made by ciphertrail ${printable(report.version)}`,
          `Period    ${printable(report.period.label)}: ${report.period.from} to ${report.period.to}`,
          `Clusters  ${printable(report.clusters.join(', ')) || 'none'}`,
        ]),
    `Members   ${members} (${megabytes(bytes)}); ${asSealed.objects} sealed objects, ${asSealed.documents} documents${evidence === 'period' ? '; evidence of the period alone' : ''}`,
    `Windows   ${plural(windows.attempts, 'attempt')}, ${plural(windows.gaps, 'recorded gap')}, ${countWords(windows.untold)} without either`,
    `Rendered  ${renderingWords(verification)}`,
  ]
}

function timestampLines({ timestamp }: PackVerification): string[] {
  if (timestamp === null) return []
  const { time, accuracySeconds, signer, issuer, isTrusted } = timestamp
  const accuracy = accuracySeconds === null ? '' : `, give or take ${accuracySeconds} s`
  return [
    `Stamped   the checkpoint existed at ${time}${accuracy}`,
    `          signed by ${signer}, issued by ${issuer}${isTrusted ? ', which leads to a certificate in --tsa-ca' : ''}`,
  ]
}

function renderingWords({ rendering }: PackVerification): string {
  switch (rendering.status) {
    case 'same':
      return `again from the evidence: all ${rendering.documents} documents are the same, byte for byte`
    case 'different':
      return `again from the evidence: ${rendering.names.length} documents are not the same`
    case 'not-rendered':
      return `not rendered again: ${printable(rendering.why)}`
  }
}

function notShown({ since, key, rendering, isAsWritten, checkpoint, timestamp }: PackVerification): string[] {
  if (checkpoint === null) return []
  return [
    ...(since === null ? ['that the log was not rewritten since an earlier time (give --checkpoint)'] : []),
    ...(key.from === 'pack' ? ['that the log is the one that you expect (give --key)'] : []),
    ...(timestamp === null ? ['when it was sealed, but by the clock of the log (there is no time stamp)'] : []),
    ...(timestamp?.isTrusted === false
      ? ['that the time stamp is of an authority: anybody can have signed it (give --tsa-ca)']
      : []),
    ...(rendering.status === 'not-rendered' ? ['that the report follows from the evidence'] : []),
    ...(isAsWritten === null
      ? ['that README.txt, index/, controls.json and verify.mjs are as ciphertrail writes them: another version did']
      : []),
    'that the clusters told the truth: evidence is what they answered',
  ]
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}
