import { copyFile, open, rm } from 'node:fs/promises'
import { renderAgainBy } from '../../../lib/jobs/render-again.ts'
import type { ReportPeriod } from '../../../lib/report/report-input.ts'
import { byteWords } from '../../../lib/report/words/vocabulary.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import type { Console } from '../../console.ts'
import { packTo } from '../pack/pack.ts'
import { openPack } from '../../../lib/pack/verify/open-pack.ts'
import { verifyPack } from '../../../lib/pack/verify/verify-pack.ts'
import { findingLine } from '../log.ts'

/** Packs the report of the demo, verifies the pack, and shows what becomes of a copy in which one bit is another. */
export async function packDemo(
  {
    file,
    documents,
    period,
    vkey,
  }: { readonly file: string; readonly documents: string; readonly period: ReportPeriod; readonly vkey: string },
  {
    objects,
    console,
  }: { readonly objects: Objects; readonly console: Pick<Console, 'progress' | 'progressEnd' | 'version'> },
): Promise<{ readonly lines: readonly string[]; readonly isProved: boolean }> {
  const { size } = await packTo(file, period, { objects, console, documents })
  const { version } = console
  const { findings, rendering } = await verifyPack({ path: file, vkey, version }, { render: renderAgainBy(version) })
  const isProved = findings.total === 0 && rendering.status === 'same'
  const damaged = await verifyDamaged(file, vkey, version)
  return {
    isProved,
    lines: [
      `Pack:     ${file} (${byteWords(size)}): ${isProved ? 'verified; made again from its evidence, the report is the same' : 'NOT VERIFIED'}`,
      ...damaged.map((line) => `          ${line}`),
    ],
  }
}

/** Flips one bit of the first evidence in a copy of a pack, and gives what `verify` says of the copy, which is removed again. */
async function verifyDamaged(pack: string, vkey: string, version: string): Promise<string[]> {
  const copy = `${pack}.damaged`
  await copyFile(pack, copy)
  try {
    const opened = await openPack(copy, () => undefined)
    const evidence = [...opened.members.values()].find(({ name }) => name.startsWith('evidence/'))
    await opened.close()
    if (evidence === undefined) return []
    await flipBit(copy, evidence.start + Math.floor(evidence.packedSize / 2))
    const { findings } = await verifyPack({ path: copy, vkey, version }, {})
    const [first] = findings.kept
    return first === undefined
      ? ['a copy with one bit flipped: NOT NOTICED']
      : ['With one bit of the evidence flipped in a copy, verify says:', `  ${findingLine(first.key, first.problem)}`]
  } finally {
    await rm(copy, { force: true })
  }
}

async function flipBit(path: string, position: number): Promise<void> {
  const file = await open(path, 'r+')
  try {
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, position)
    buffer[0] = (buffer[0] ?? 0) ^ 1
    await file.write(buffer, 0, 1, position)
  } finally {
    await file.close()
  }
}
