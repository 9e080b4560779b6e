/** How to check that this report says what the evidence says, and that the evidence is what was collected. */
import { printable } from '../../text/printable.ts'
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import type { Summary } from '../summary/summary.ts'
import { countWords, plural } from '../words/vocabulary.ts'

/** How a reader checks the report against the log. */
export function verificationSection(
  { checkpoint, clusters, period, version, judgement, replay }: Summary,
  { isPage = false } = {},
): SectionView {
  const command = `ciphertrail report --from ${period.from} --to ${period.to} --time-zone ${printable(period.timeZone)}`
  return section('verification', 'Verification', {
    paragraphs: [
      `This report is derived from write-once evidence. The same evidence gives the same documents, byte for byte, with ciphertrail ${printable(version)} and controls version ${printable(judgement.controls.version)} (SHA-256 ${printable(judgement.controls.sha256)}). So the report has no date on which it was made.`,
      ...severalWords(clusters.flatMap(({ windows }) => windows).filter(({ also }) => also !== undefined).length),
      ...(checkpoint === null
        ? ['Not sealed: there is no signed checkpoint. Nothing proves that the evidence of this period is unchanged.']
        : [
            ...sealedWords(checkpoint),
            'Keep this checkpoint and the key. With them and a copy of the store, anybody can check later that nothing was changed or removed. Compare the key with one from a source other than this report: whoever can change the report can change the key in it.',
          ]),
    ],
    code: [
      ...(checkpoint === null
        ? []
        : [
            { caption: 'Root hash of the log', lines: [printable(checkpoint.root)] },
            { caption: 'Key', lines: [printable(checkpoint.vkey)] },
            {
              caption: `Checkpoint as signed: three lines, an empty line, and one line for each signature, which may wrap here. ${isPage ? '/v1/checkpoint, linked below, has the same text in text' : 'summary.json has the same text in checkpoint.text'}.`,
              lines: checkpoint.text.trimEnd().split('\n').map(printable),
            },
          ]),
      ...(checkpoint === null
        ? []
        : [
            {
              caption:
                'Verify STORE, a copy of the store (a directory or s3://bucket/prefix). With --since, also that nothing was removed since the checkpoint above, which is in FILE',
              lines: [`ciphertrail verify STORE --key ${printable(checkpoint.vkey)} --since FILE`],
            },
          ]),
      {
        caption:
          replay === null
            ? `Derive everything again from the evidence, and make ${isPage ? 'a report of this time' : 'this report again'}`
            : 'Derive everything again from the evidence',
        lines: ['ciphertrail rebuild', ...(replay === null ? [command] : [])],
      },
    ],
  })
}

/** Of windows that are told by more than one attempt: of each path the worse reading stands. */
function severalWords(windows: number): readonly string[] {
  if (windows === 0) return []
  return [
    `${countWords(windows)} ${windows === 1 ? 'window was' : 'windows were'} collected more than once, with different answers. Each path takes the worse reading. windows.csv names the attempts.`,
  ]
}

/** Which of the evidence the log holds: a checkpoint says nothing of what it does not cover. */
function sealedWords({ origin, size, attempts, unsealed }: NonNullable<Summary['checkpoint']>): readonly string[] {
  const log = `the log ${printable(origin)}, which had ${plural(size, 'leaf', 'leaves')} when this checkpoint was signed`
  const rests = `This report is based on ${plural(attempts, 'collected attempt')}`
  if (attempts === 0) return [`This report is based on no collected attempt; the checkpoint is of ${log}.`]
  return unsealed === 0
    ? [`${rests}. ${attempts === 1 ? 'It is' : 'All are'} in ${log}.`]
    : [
        `${rests}. ${countWords(unsealed)} of them ${unsealed === 1 ? 'is' : 'are'} not in ${log}. Nothing proves that ${unsealed === 1 ? 'it is' : 'they are'} unchanged.`,
      ]
}
