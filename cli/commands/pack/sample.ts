import { mkdir, readdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { haveRoot, leavesOf, proverOf, type PackedHead } from '../../../lib/pack/log-files.ts'
import type { NumberedLeaf } from '../../../lib/pack/packed-leaves.ts'
import { pickWindows, type Population, populationOf, type SampledWindow } from '../../../lib/pack/sample.ts'
import { sealedClusters } from '../../../lib/pack/sealed-registry.ts'
import { entriesUpTo, PackError, presentHead } from '../../../lib/pack/select-report.ts'
import { nameOf } from '../../../lib/seal/leaf.ts'
import { StoreError } from '../../../lib/store/objects/objects.ts'
import type { WatchedCluster } from '../../../lib/store/registry/registry.ts'
import { toJson } from '../../../lib/text/format-json.ts'
import { compareText } from '../../../lib/text/order.ts'
import { printable } from '../../../lib/text/printable.ts'
import { windowText } from '../../../lib/store/keys.ts'
import type { ReportPeriod } from '../../../lib/report/report-input.ts'
import { type Console, UsageError } from '../../console.ts'
import { type Store, chosenClusters, openStore } from '../../open-store.ts'
import { collectValues, readNumber } from '../../option-values.ts'
import { PERIOD_HELP, type PeriodOptions, readPeriodOptions, WEEK_HELP } from '../../period-options.ts'
import { type TerminalColumn, tableLines } from '../../terminal-table.ts'
import { countWords, plural } from '../../../lib/report/words/vocabulary.ts'

type SampleOptions = PeriodOptions & {
  readonly count: string
  readonly seed?: string
  readonly out?: string
  readonly cluster?: string[]
  readonly json?: boolean
  readonly store?: string
}

/** A window that was picked, with the proofs of its leaves. */
type ProvedWindow = SampledWindow & {
  readonly proofs: readonly { readonly file: string; readonly proof: Uint8Array }[]
}

/** Adds `ciphertrail sample`. */
export function addSample(program: Command, console: Console): void {
  program
    .command('sample')
    .summary('pick windows of a period by a seed, with the proof of each')
    .description(
      'Picks windows of a period for an auditor who tests a sample: the population and how it was derived, the chosen windows, what is sealed of each, and the proofs. The same store and the same seed pick the same windows.',
    )
    .option('--period <period>', PERIOD_HELP)
    .option('--week <week>', WEEK_HELP)
    .option('--time-zone <zone>', 'IANA time zone of the week (default UTC)')
    .option('--from <time>', 'windows that end after this time')
    .option('--to <time>', '... and not after this one')
    .option('--count <n>', 'how many windows', '25')
    .requiredOption('--seed <text>', 'a text that the auditor chooses')
    .option('--cluster <id>', 'only this cluster (may be repeated)', collectValues)
    .option(
      '--out <dir>',
      'write the sample and its proofs (C2SP tlog-proof) into this folder, which must be empty or new',
    )
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      '\nEach window gets a rank: SHA-256 of three lines, the seed, the cluster and the\nwindow. The smallest ranks are taken. To compute one by hand:\n  printf "7\\nprod\\n20261124T120000Z-20261124T130000Z\\n" | sha256sum\n\nExamples:\n  ciphertrail sample --period 2026-W47 --count 25 --seed 7\n  ciphertrail sample --period 2026-11-01/2026-12-01 --seed "audit 26" --out sample',
    )
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<SampleOptions>()
      const { seed = '', json = false, out } = options
      if (/[\n\r]/.test(seed)) throw new UsageError('Cannot use this --seed: wanted one line of text')
      const wanted = readNumber('--count', options.count, 100_000)
      const period = readPeriodOptions(options, console.now(), 'sample')
      const objects = openStore(options, console)
      const { vkey, head } = await presentHead(objects)
      const entries = await entriesUpTo(head.checkpoint.size, objects)
      if (!haveRoot(entries, head.checkpoint))
        throw new PackError(
          'Cannot pick a sample: the log does not come to the root that was signed, run "ciphertrail log check"',
        )
      const leaves = leavesOf(entries)
      const watched = await watchedClusters(leaves, options.cluster, objects)
      const population = populationOf(watched, period, leaves, nameOf)
      const prove = proverOf(entries, head)
      const picked: ProvedWindow[] = []
      for (const [at, window] of pickWindows(population.windows, wanted, seed).entries()) {
        const proofs: { file: string; proof: Uint8Array }[] = []
        for (const { number } of window.leaves)
          proofs.push({
            file: `${String(at + 1).padStart(4, '0')}-leaf-${number}.tlog-proof`,
            proof: await prove(number),
          })
        picked.push({ ...window, proofs })
      }
      const seen = new Set(population.windows.map(({ cluster }) => cluster))
      const own = watched.filter(({ id, removedAt }) => removedAt === undefined || seen.has(id)).map(({ id }) => id)
      const clusters = [...new Set(own)].toSorted(compareText)
      const told: Sample = { vkey, checkpoint: head.checkpoint, period, seed, wanted, population, picked, clusters }
      const sample = sampleJson(told)
      if (out !== undefined) await writeSample(out, sample, picked)
      if (json) console.out(toJson(sample))
      else for (const line of sampleLines(told)) console.out(line)
      if (!json && out !== undefined) console.out(`Proofs: ${printable(out)}`)
    })
}

/** The sealed clusters that `--cluster` names, or all, each as often as it was registered: a removal takes no window out of the population. */
async function watchedClusters(
  leaves: readonly NumberedLeaf[],
  ids: readonly string[] | undefined,
  objects: Store,
): Promise<WatchedCluster[]> {
  const watched = await sealedClusters(leaves, objects)
  const missing = ids?.filter((id) => !watched.some((cluster) => cluster.id === id))
  if (watched.length === 0 || (missing !== undefined && missing.length > 0)) {
    await chosenClusters(objects, missing)
    throw new PackError(
      'Cannot pick a sample: the registration of its cluster is not sealed yet, run "ciphertrail seal"',
    )
  }
  return ids === undefined ? watched : watched.filter(({ id }) => ids.includes(id))
}

type Sample = {
  readonly vkey: string
  readonly checkpoint: PackedHead['checkpoint']
  readonly period: ReportPeriod
  readonly seed: string
  readonly wanted: number
  readonly population: Population
  readonly picked: readonly ProvedWindow[]
  readonly clusters: readonly string[]
}

const METHOD = 'rank = SHA-256 of "SEED\\nCLUSTER\\nWINDOW\\n"; the smallest ranks, in their order'

function sampleJson({ vkey, checkpoint, period, seed, wanted, population, picked, clusters }: Sample) {
  const { windows, ...counts } = population
  const { origin, size, root } = checkpoint
  return {
    key: vkey,
    checkpoint: { origin, size, root: Buffer.from(root).toString('base64') },
    period,
    clusters,
    population: { windows: windows.length, ...counts, derivedFrom: derivationWords(clusters) },
    method: METHOD,
    seed,
    count: wanted,
    windows: picked.map(({ proofs, ...window }) => ({
      ...window,
      proofs: proofs.map(({ file, proof }) => ({ file, proof: Buffer.from(proof).toString() })),
    })),
  }
}

function derivationWords(clusters: readonly string[]): string {
  return `every window that was expected of ${clusters.join(', ')} while it was registered, by the sealed changes of the registry; and every window of which an attempt or a gap is sealed`
}

function sampleLines({ vkey, checkpoint, period, seed, wanted, population, picked, clusters }: Sample): string[] {
  const { windows, attempts, gaps, neither } = population
  const { origin, size, root } = checkpoint
  return [
    printable(`Key         ${vkey}`),
    '            of this store: compare it with the key that you have from elsewhere',
    printable(`Checkpoint  ${origin}, ${plural(size, 'leaf', 'leaves')}, root ${Buffer.from(root).toString('base64')}`),
    printable(
      `Population  ${plural(windows.length, 'window')} in ${period.label}: ${countWords(attempts)} with evidence, ${plural(gaps, 'recorded gap')}, ${countWords(neither)} with neither`,
    ),
    printable(`            ${derivationWords(clusters)}`),
    `Method      ${METHOD}`,
    printable(`Seed        ${seed}`),
    `Sample      ${picked.length} of ${wanted} wanted`,
    '',
    ...(picked.length === 0 ? [] : tableLines(picked, COLUMNS)),
  ]
}

const COLUMNS: readonly TerminalColumn<ProvedWindow>[] = [
  { heading: 'WINDOW', text: ({ window }) => windowText(window) },
  { heading: 'CLUSTER', text: ({ cluster }) => cluster },
  { heading: 'STATUS', text: ({ status }) => status },
  { heading: 'LEAF', text: ({ leaves }) => leaves.map(({ number }) => number).join(', ') || '-' },
  {
    heading: 'SHA-256',
    text: ({ leaves }) => leaves.map(({ sha256 }) => sha256?.slice(0, 16) ?? 'gap').join(', ') || '-',
  },
]

/** Writes sample.json last: where it is, the proofs that it names are, and no others. */
async function writeSample(folder: string, sample: unknown, picked: readonly ProvedWindow[]): Promise<void> {
  try {
    await mkdir(folder, { recursive: true })
    if ((await readdir(folder)).length > 0)
      throw new UsageError(
        `Cannot write the sample to "${printable(folder)}": files are in it already, wanted an empty or a new folder`,
      )
    for (const { file, proof } of picked.flatMap(({ proofs }) => proofs)) await writeFile(join(folder, file), proof)
    const unfinished = join(folder, 'sample.json.new')
    await writeFile(unfinished, `${toJson(sample)}\n`, { flush: true })
    await rename(unfinished, join(folder, 'sample.json'))
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error && 'code' in error)) throw error
    throw new StoreError(
      `Cannot write the sample to "${printable(folder)}": ${String(error.code)}, wanted a folder that can be written`,
      { cause: error },
    )
  }
}
