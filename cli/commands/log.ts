import { existsSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { foldItems, moreLines } from '../../lib/text/fold-lines.ts'
import { printable } from '../../lib/text/printable.ts'
import { type StoreCheck, checkStore } from '../../lib/seal/verify/check-store.ts'
import type { Findings, LogFinding } from '../../lib/seal/verify/finding.ts'
import { type Leaf, parseLeaf } from '../../lib/seal/leaf.ts'
import { NoteError, verifierOf } from '../../lib/seal/tlog/note.ts'
import { proveLeaf } from '../../lib/seal/verify/prove.ts'
import { readBundle } from '../../lib/seal/read-entries.ts'
import { readStoredHead } from '../../lib/seal/verify/signed-head.ts'
import { TILE_WIDTH } from '../../lib/seal/tlog/tiles.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { type Console, FailedError, UsageError } from '../console.ts'
import { toJson } from '../../lib/text/format-json.ts'
import { deriveDeps, openStore } from '../open-store.ts'
import { tableLines } from '../terminal-table.ts'
import { countWords, plural } from '../../lib/report/words/vocabulary.ts'

type LogOptions = { readonly key?: string; readonly json?: boolean; readonly store?: string }
type ShowOptions = LogOptions & { readonly last: string; readonly proof?: string; readonly out?: string }

/** The words of --key in the help. */
export const KEY_HELP =
  "the log's public key, or a file that holds it, kept elsewhere than the store (default: the one in the store, which proves less)"

/** Reads `--key`: a public key, or the name of a file with one. Throws UsageError. */
export function readVkey(text: string): string {
  const isFile = !text.includes('+') || existsSync(text)
  try {
    const vkey = isFile ? readFileSync(text, 'utf8').trim() : text
    verifierOf(vkey)
    return vkey
  } catch (error) {
    if (error instanceof NoteError) throw new UsageError(error.message)
    throw new UsageError(
      `Cannot read --key "${printable(text)}": wanted a public key, such as "ciphertrail key show" prints, or a file that holds it`,
    )
  }
}

/** Adds `ciphertrail log show` and `log check`. */
export function addLogCommands(program: Command, console: Console): void {
  const log = program
    .command('log')
    .summary('what the log of sealed evidence holds, and whether all of it is as it was')
    .description('Shows the log of sealed evidence, and checks every object of the store against it.')
    .addHelpText('after', '\nExamples:\n  ciphertrail log show\n  ciphertrail log check')

  log
    .command('show')
    .summary('the checkpoint, the key and the latest leaves; a proof for one object')
    .description(
      'Shows the checkpoint, the key that signed it and the latest leaves. With --proof it writes a proof for one sealed object that can be checked without the store: "ciphertrail verify --proof FILE --object FILE --key KEY".',
    )
    .option('--last <n>', 'how many leaves to show', '10')
    .option('--proof <key>', 'write the proof (C2SP tlog-proof) that the object with this key is in the log')
    .option('--out <file>', 'where to write the proof (default standard output)')
    .option('--key <vkey>', KEY_HELP)
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail log show\n  ciphertrail log show --last 100 --json\n  ciphertrail log show \\\n      --proof evidence/20261124T120000Z-20261124T130000Z/prod/0001.json.gz \\\n      --out 0001.tlog-proof',
    )
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<ShowOptions>()
      const last = readCount(options.last)
      if (options.out !== undefined && options.proof === undefined)
        throw new UsageError('Cannot use --out without --proof: there is nothing to write')
      const objects = openStore(options, console)
      const head = await readStoredHead(options.key === undefined ? undefined : readVkey(options.key), objects)
      if (options.proof !== undefined) {
        const proof = await proveLeaf(options.proof, head, objects)
        if (options.out === undefined) process.stdout.write(proof)
        else await writeOut(options.out, proof, console)
        return
      }
      const leaves = await lastLeaves(head.checkpoint.size, last, objects)
      const root = Buffer.from(head.checkpoint.root).toString('base64')
      const { origin, size } = head.checkpoint
      const checkpoint = Buffer.from(head.note).toString()
      if (options.json === true) return console.out(toJson({ key: head.key, origin, size, root, checkpoint, leaves }))
      console.out(`Key: ${head.key.vkey ?? ''}${head.key.from === 'store' ? ' (from the store itself)' : ''}`)
      console.out(`Leaves: ${size}`)
      console.out('Checkpoint:')
      for (const line of checkpoint.trimEnd().split('\n')) console.out(printable(line))
      if (leaves.length === 0) return
      console.out('')
      for (const line of tableLines(leaves, COLUMNS)) console.out(line)
    })

  log
    .command('check')
    .summary('look at every object of the store: what is wrong and where')
    .description(
      'Looks at every object of the store: the checkpoint, batches, tiles, entries and index of the log, what its leaves name, the registry, what is derived (which is derived again and compared), and objects that nobody makes. Changes nothing. One line for each finding; what is not sealed yet is named and is no finding.',
    )
    .option('--key <vkey>', KEY_HELP)
    .option('--json', 'one JSON object for each finding, and a last one that counts')
    .addHelpText(
      'after',
      '\nExit codes: 0 nothing is wrong, 1 something is, 2 the command line was not\nunderstood, 3 nothing is wrong, but a waiver or a scope by which reports are\njudged already is not sealed yet: run "ciphertrail seal", and ask who set it.\n\nExamples:\n  ciphertrail log check\n  ciphertrail log check --json',
    )
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<LogOptions>()
      const objects = openStore(options, console)
      const { findings, unsealed, inForce, foreign, ...counts } = await checkStore(
        options.key === undefined ? {} : { vkey: readVkey(options.key) },
        { ...deriveDeps(objects, console.now()), onProgress: (what) => console.progress(`Checking ${what}`) },
      )
      console.progressEnd()
      const isJson = options.json === true
      for (const [list, isWrong] of [
        [findings, true],
        [unsealed, false],
      ] as const) {
        if (isJson) for (const { key, problem } of list.kept) console.out(toJson({ key, problem, isWrong }))
        else
          for (const line of findingLines(list, isWrong ? 'findings' : 'objects that are not sealed yet'))
            console.out(line)
      }
      if (foreign.total > 0 && !isJson) console.out(foreignLine(foreign))
      if (isJson)
        console.out(
          toJson({
            ...counts,
            findings: findings.total,
            unsealed: unsealed.total,
            inForce,
            foreign: foreign.total,
            foreignNames: foreign.names,
          }),
        )
      else
        console.out(
          `Looked at ${plural(counts.objects, 'object')}, ${plural(counts.leaves, 'leaf', 'leaves')} and what is derived of ${plural(counts.clusters, 'cluster')}: ${plural(findings.total, 'finding')}, ${countWords(unsealed.total)} not sealed yet${inForce === 0 ? '' : `, ${countWords(inForce)} of them in force already`}`,
        )
      if (findings.total > 0) throw new FailedError()
      if (inForce > 0) throw new FailedError(3)
    })
}

/** A finding as a line: where, and what, or where alone. */
export function findingLine(key: string | null, problem: string): string {
  return printable(key === null ? problem : problem === '' ? key : `${key}: ${problem}`)
}

/** Most kinds of findings that are shown to people: anyone who can write objects could make any number of them. */
const MAX_KINDS = 100

/** Findings as lines, those of one kind and cluster folded, and of at most `most` kinds. */
export function findingLines({ kept, total }: Findings, what: string, most = MAX_KINDS): string[] {
  const lineOf = ({ key, problem }: LogFinding): string => findingLine(key, problem)
  const { folds, rest } = foldItems(kept, ({ key, problem }) => `"${key ?? ''}": ${problem}`, most)
  const more = total - kept.length + rest
  return [
    ...folds.flatMap((fold) => [...fold.shown.map(lineOf), ...moreLines(fold, lineOf)]),
    ...(more === 0 ? [] : [`and ${more} more ${what}`]),
  ]
}

function foreignLine({ names, total }: StoreCheck['foreign']): string {
  const more = total - names.length
  return printable(
    `${plural(total, 'name')} that no object of a store can have; nothing reads what has such a name: ${names.map((name) => JSON.stringify(name)).join(', ')}${more === 0 ? '' : ` and ${more} more`}`,
  )
}

function readCount(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text)
  throw new UsageError(`Cannot show "${printable(text)}" leaves: wanted --last with a whole number up to 999999`)
}

type ShownLeaf = { readonly number: number; readonly leaf: Leaf }

/** The last leaves, oldest first. */
async function lastLeaves(size: number, count: number, objects: Objects): Promise<ShownLeaf[]> {
  const from = Math.max(0, size - count)
  const leaves: ShownLeaf[] = []
  for (let index = Math.floor(from / TILE_WIDTH); index * TILE_WIDTH < size && from < size; index++) {
    const { first, entries } = await readBundle(index, size, objects)
    for (const [at, entry] of entries.entries())
      if (first + at >= from) leaves.push({ number: first + at, leaf: parseLeaf(entry) })
  }
  return leaves
}

const COLUMNS = [
  { heading: 'LEAF', text: ({ number }: ShownLeaf) => String(number) },
  { heading: 'KIND', text: ({ leaf }: ShownLeaf) => leaf.kind },
  { heading: 'ABOUT', text: ({ leaf }: ShownLeaf) => aboutOf(leaf) },
]

function aboutOf(leaf: Leaf): string {
  if ('key' in leaf) return leaf.key
  switch (leaf.kind) {
    case 'heartbeat':
      return leaf.time
    case 'gap':
      return `${leaf.cluster} ${leaf.window.start} to ${leaf.window.end}: ${leaf.reason}`
  }
}

async function writeOut(file: string, bytes: Uint8Array, console: Console): Promise<void> {
  try {
    await writeFile(file, bytes)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error
    throw new Error(
      `Cannot write the proof to "${printable(file)}": ${String(error.code)}, wanted a file that can be written`,
      {
        cause: error,
      },
    )
  }
  console.out(file)
}
