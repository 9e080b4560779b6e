import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative, sep } from 'node:path'
import type { Console } from '../../console.ts'
import { pathOf, writeReport } from '../report.ts'
import { deriveDeps } from '../../open-store.ts'
import { endName } from '../../../lib/assess/judge/waived.ts'
import { workloadKey } from '../../../lib/assess/pods/facts.ts'
import { openCluster } from '../../../lib/collect/cluster/open-cluster.ts'
import { collectWindow } from '../../../lib/collect/snapshot.ts'
import { SETTLE_SECONDS, toSeconds, toTime } from '../../../lib/time/windows.ts'
import { readConfig } from '../../../lib/config.ts'
import type { Cluster } from '../../../lib/model/registry.ts'
import type { Coverage, GapReason } from '../../../lib/model/window.ts'
import type { Snapshot } from '../../../lib/model/snapshot.ts'
import type { Window } from '../../../lib/model/time.ts'
import { datesOf } from '../../../lib/time/dates.ts'
import { printable } from '../../../lib/text/printable.ts'
import type { Summary } from '../../../lib/report/summary/summary.ts'
import type { Exposure } from '../../../lib/report/summary/path-summary.ts'
import { LOOKS } from '../../../lib/report/drawing/state-looks.ts'
import { headlineOf } from '../../../lib/report/sections/not-encrypted.ts'
import { wordingOf } from '../../../lib/report/words/report-context.ts'
import {
  BLIND_SPOT_WORDS,
  CAUSE_WORDS,
  GAP_WORDS,
  MESHED_WORDS,
  UNMESHED_WORDS,
  byteWords,
  plural,
  reasonWords,
} from '../../../lib/report/words/vocabulary.ts'
import { shareWords } from '../../../lib/text/share-words.ts'
import { deriveCluster } from '../../../lib/history/derive.ts'
import { directoryObjects } from '../../../lib/store/objects/directory.ts'
import { writeAttempt } from '../../../lib/store/evidence/evidence.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { createKeyFile, keyFileSigner } from '../../../lib/seal/key/key-file.ts'
import { seal } from '../../../lib/seal/write/seal.ts'
import { type Verification, verifyStore } from '../../../lib/seal/verify/verify-period.ts'
import { addCluster, readClusters } from '../../../lib/store/registry/registry.ts'
import { DEMO_FIXTURE, openFixture } from '../../../demo/fixture.ts'
import { startKubernetesReplay } from '../../../demo/replay-kubernetes.ts'
import { startPrometheusReplay } from '../../../demo/replay-prometheus.ts'
import { startVizReplay } from '../../../demo/replay-viz.ts'

/** The folder of the demo, in the folder in which it is started. */
const OUT = 'demo-output'

/** Beside the store, as for every store. */
const KEY = join(OUT, 'store.key')

/** What marks the folder as one that may be removed. */
const MARK = 'this-is-a-ciphertrail-demo'

const CLUSTER = 'demo'

/** What the demo writes to, and what it says its progress to. */
type DemoConsole = Pick<Console, 'out' | 'err' | 'progress' | 'progressEnd' | 'version' | 'now' | 'user'>

/**
 * Replays the recorded mesh: real servers on loopback, the real collector, store and report. Ends by itself. Gives the exit code: 1
 * where ./demo-output holds something else, or a window could not be collected.
 */
export async function runDemo(console: DemoConsole): Promise<number> {
  if (!(await isOurs(OUT))) {
    console.err(
      `Cannot write the demo to "${OUT}": it is there and no older demo, move it away or start in another folder`,
    )
    return 1
  }
  await rm(OUT, { recursive: true, force: true })
  await mkdir(OUT)
  await writeFile(join(OUT, MARK), 'ciphertrail demo removes this folder when it is started again.\n')
  const objects = directoryObjects(join(OUT, 'store'))

  const began = performance.now()
  const collected = await collectAll(objects, console)
  const seconds = (performance.now() - began) / 1000
  const { windows, snapshots } = collected
  const [first, last] = [windows[0], windows.at(-1)]
  if (first === undefined || last === undefined) throw new Error(`Cannot replay "${DEMO_FIXTURE}": it holds no window`)
  for (const { errors } of snapshots.flatMap(({ metrics, kubernetes, viz }) => [
    metrics,
    kubernetes,
    viz ?? { errors: [] },
  ]))
    for (const line of errors) console.err(line)

  const period = { ...periodOf(windows), label: 'Demo', timeZone: 'UTC' }
  const replay = replayWords(windows)
  const cluster = await registered(objects)
  // The key of a log that lasts would not lie in a folder that is removed.
  const vkey = await createKeyFile(KEY, 'ciphertrail.example/demo')
  const signer = await keyFileSigner(KEY)
  await seal({ now: console.now() }, { objects, signer })
  const report = await writeReport([cluster], period, OUT, { objects, console })
  const { summary, view } = report
  await seal({ now: console.now() }, { objects, signer })
  const verified = await verifyStore({ vkey }, { objects })

  const lines = [
    replay,
    '',
    ...whatWasDone(snapshots, seconds),
    '',
    view.verdict,
    '',
    ...notEncryptedLines(summary),
    '',
    ...notToldLines(summary),
    ...notSeenLines(
      summary,
      report.clusters.flatMap(({ coverage }) => coverage),
    ),
    '',
    ...whereLines(report.files),
    sealedLine(verified),
    '',
    ...nextLines(windows, vkey),
  ]
  for (const line of lines) console.out(line)
  return snapshots.every(({ complete }) => complete) && isProved(verified) ? 0 : 1
}

/** From the first window to the last. */
function periodOf(windows: readonly Window[]): { from: string; to: string } {
  return { from: windows[0]?.start ?? '', to: windows.at(-1)?.end ?? '' }
}

function replayWords(windows: readonly Window[]): string {
  const { from, to } = periodOf(windows)
  const recorded = datesOf({ from, to, timeZone: 'UTC' }).range(from, to)
  return `This is a replay of what a real Linkerd mesh did on ${recorded}, ${to.slice(0, 4)} (UTC), as it was: no cluster was read now.`
}

/** Nothing is there, or an older demo. */
async function isOurs(folder: string): Promise<boolean> {
  if (!existsSync(folder)) return true
  const names = await readdir(folder).catch(() => undefined)
  return names !== undefined && (names.length === 0 || names.includes(MARK))
}

/** Collects every recorded window, each when it could first be collected: the simulated time moves along. */
async function collectAll(
  objects: Objects,
  console: DemoConsole,
): Promise<{ windows: readonly Window[]; snapshots: readonly Snapshot[] }> {
  const fixture = openFixture(DEMO_FIXTURE)
  const { windows } = fixture
  const start = windows[0]?.start ?? ''
  const work = await mkdtemp(join(tmpdir(), 'ciphertrail-demo-'))
  const kubeconfig = join(work, 'kubeconfig')
  const prometheus = await startPrometheusReplay(fixture.prometheus, start)
  const viz = await startVizReplay(DEMO_FIXTURE, start)
  const [prometheusPort, web] = [prometheus, viz].map(({ url }) => Number(new URL(url).port))
  const ports = { prometheus: prometheusPort ?? 0, web: web ?? 0 }
  const kubernetes = await startKubernetesReplay(fixture.kubernetes, start, kubeconfig, ports)
  try {
    // Registered now, after all windows of the replay: none is expected to follow the last one.
    await addCluster(
      { id: CLUSTER, kubeconfig, windowMinutes: 5, replay: replayWords(windows) },
      { now: console.now(), by: console.user },
      { objects },
    )
    const cluster = await registered(objects)
    const access = openCluster(cluster, { environment: readConfig() })
    const snapshots: Snapshot[] = []
    try {
      for (const [index, window] of windows.entries()) {
        const time = toTime(toSeconds(window.end) + SETTLE_SECONDS)
        kubernetes.setTime(time)
        prometheus.setTime(time)
        viz.setTime(time)
        const snapshot = await collectWindow(
          cluster,
          window,
          { collector: { name: 'ciphertrail', version: console.version }, isReplay: true },
          {
            access,
            now: () => new Date(time),
            progress: (done, all) =>
              console.progress(`Window ${index + 1} of ${windows.length}: ${done} of ${all} queries answered`),
          },
        )
        await writeAttempt(snapshot, { objects })
        await deriveCluster(cluster, deriveDeps(objects, console.now()))
        snapshots.push(snapshot)
      }
    } finally {
      await access.close()
    }
    return { windows, snapshots }
  } finally {
    console.progressEnd()
    await Promise.all([kubernetes.close(), prometheus.close(), viz.close()])
    await rm(work, { recursive: true, force: true })
  }
}

async function registered(objects: Objects): Promise<Cluster> {
  const [cluster] = await readClusters({ objects })
  if (cluster === undefined) throw new Error(`Cannot find cluster "${CLUSTER}": its registration was lost`)
  return cluster
}

function whatWasDone(snapshots: readonly Snapshot[], seconds: number): string[] {
  const answers = snapshots.flatMap(({ metrics }) => metrics.answers)
  const lists = snapshots.flatMap(({ kubernetes }) => kubernetes.lists)
  const bytes = answers.reduce((sum, { body }) => sum + Buffer.byteLength(body), 0)
  return [
    `Registered: cluster "${CLUSTER}" with the namespaces emojivoto, billing, identity,`,
    '            warehouse and observability. Its Kubernetes API (TLS), Prometheus',
    '            and dashboard (by port-forward) are played on this computer, and',
    '            answer what the real ones answered.',
    `Collected:  ${plural(snapshots.length, 'window')} of 5 minutes, ${plural(answers.length, 'query', 'queries')} (${byteWords(bytes)}) and`,
    `            ${plural(lists.length, 'list')} of Kubernetes objects in ${seconds.toFixed(1)} s, kept as evidence;`,
    '            all that follows is derived from it.',
  ]
}

/** Each path that was not encrypted, since when, why and how to fix it; Linkerd's own in a line each. */
function notEncryptedLines(summary: Summary): string[] {
  const { notEncrypted } = summary
  const wording = wordingOf(summary)
  const isLinkerds = ({ source, destination }: Exposure): boolean =>
    [source, destination].some(({ namespace }) => namespace === 'linkerd' || namespace === 'linkerd-viz')
  const [own, others] = [notEncrypted.filter(isLinkerds), notEncrypted.filter((path) => !isLinkerds(path))]
  const nameOf = (path: Exposure): string =>
    `${LOOKS[path.mark].shape} ${endName(path.source)} -> ${endName(path.destination)}:${path.port}`
  return [
    `NOT ENCRYPTED BY THE MESH: ${plural(others.length, 'path')} of applications`,
    ...others.flatMap((path) => [
      '',
      `  ${nameOf(path)}, ${path.mark}`,
      `    ${headlineOf(wording, path)}`,
      ...knownReasons(path).flatMap(({ reason, cause, fix }) => [
        `    Reason: ${reasonWords(reason)}${cause === null ? '' : `; cause: ${CAUSE_WORDS[cause]}`}`,
        ...(fix === null ? [] : [`    Fix: ${fix}`]),
      ]),
    ]),
    '',
    `... and ${plural(own.length, 'path')} of Linkerd's own, whose reasons and fixes stand in the report:`,
    ...own.map((path) => `  ${nameOf(path)}, ${path.mark}, ${headlineOf(wording, path)}`),
  ].map(printable)
}

/** A cause that could not be told in one window needs no word where another window told it. */
function knownReasons({ reasons }: Exposure): Exposure['reasons'] {
  const known = reasons.filter(({ cause }) => cause !== 'unknown')
  return known.length > 0 ? known : reasons
}

/** How many paths have a window of which nothing can be said although traffic was seen, by reason. */
function notToldLines({ notEnoughEvidence: unknown }: Summary): string[] {
  if (unknown.length === 0) return []
  const byReason = Map.groupBy(
    unknown.flatMap(({ reasons }) => reasons),
    ({ reason }) => reason,
  )
  return [
    `COULD NOT BE TOLD: ${plural(unknown.length, 'path')}, each in at least one window`,
    ...[...byReason].map(([reason, all]) => printable(`  ${plural(all.length, 'path')}: ${reasonWords(reason)}`)),
    '',
  ]
}

/** Coverage gaps with their reasons, and what has no proxy to be seen by. */
function notSeenLines({ share, unmeshed, blind, unseen, period }: Summary, coverage: readonly Coverage[]): string[] {
  const dates = datesOf(period)
  const gapLines = stretchesOf(coverage).map(
    ({ reason, from, to, workloads }) =>
      `  ${GAP_WORDS[reason]}: ${dates.range(from, to)}, ${plural(workloads.size, 'workload')}`,
  )
  const spots = blind.flatMap((workload) =>
    workload.blindSpots
      .filter(({ kind }) => kind !== 'unmeshed')
      .map(
        ({ kind, port }) => `  ${endName(workload)}${port === null ? '' : `, port ${port}`}: ${BLIND_SPOT_WORDS[kind]}`,
      ),
  )
  return [
    `NOT SEEN: ${share === null ? 'how much of the time was observed is not known' : `${shareWords(share)} of the time of meshed pods was observed`}`,
    ...gapLines,
    ...unmeshed.map(
      (workload) =>
        `  ${endName(workload)}: ${MESHED_WORDS[workload.meshed]}${workload.reason === null ? '' : `, ${UNMESHED_WORDS[workload.reason]}`}`,
    ),
    ...spots,
    ...(unseen.length === 0 ? [] : [`  ${plural(unseen.length, 'known path')} without traffic that was seen`]),
  ].map(printable)
}

type Stretch = {
  readonly reason: GapReason
  readonly from: string
  readonly to: string
  readonly workloads: ReadonlySet<string>
}

/** The gaps of all workloads, those of one reason that overlap put together, oldest first. */
function stretchesOf(coverage: readonly Coverage[]): Stretch[] {
  const gaps = coverage
    .flatMap(({ workload, gaps: own }) =>
      own.map(({ reason, from, to }): Stretch => ({ reason, from, to, workloads: new Set([workloadKey(workload)]) })),
    )
    .toSorted((a, b) => toSeconds(a.from) - toSeconds(b.from))
  const stretches: Stretch[] = []
  for (const gap of gaps) {
    const index = stretches.findIndex(({ reason, to }) => reason === gap.reason && toSeconds(gap.from) <= toSeconds(to))
    const known = stretches[index]
    if (known === undefined) stretches.push(gap)
    else
      stretches[index] = {
        ...known,
        to: toSeconds(gap.to) > toSeconds(known.to) ? gap.to : known.to,
        workloads: new Set([...known.workloads, ...gap.workloads]),
      }
  }
  return stretches
}

function whereLines(files: readonly string[]): string[] {
  const data = files.filter((file) => /\.(?:csv|json)$/u.test(file))
  return [
    `Report:   ${pathOf(files, 'html')}`,
    `          ${pathOf(files, 'pdf')}`,
    `Data:     ${plural(data.length, 'file')} beside them (summary.json, paths.csv, ...), also inside the PDF`,
    `Store:    ${join(OUT, 'store')} (evidence is the truth; all else in it can be made again from it)`,
  ]
}

/** Everything is sealed, and nothing was found to be wrong. */
function isProved({ findings, unsealed }: Verification): boolean {
  return findings.total === 0 && unsealed?.total === 0
}

function sealedLine(verified: Verification): string {
  const { checkpoint, objects } = verified
  return isProved(verified) && checkpoint !== null
    ? `Sealed:   a log of ${plural(checkpoint.size, 'leaf', 'leaves')}, signed; ${plural(objects.asSealed, 'object')} verified to be as sealed`
    : 'Sealed:   NOT PROVED, see "log check"'
}

/** Commands that work on what the demo stored, as they are to be typed in this folder. */
function nextLines(windows: readonly Window[], vkey: string): string[] {
  const command = `${commandName()} --store ${join(OUT, 'store')}`
  const middle = windows[Math.floor(windows.length / 2)]
  return [
    'Next, type:',
    `  ${command} edges deployment`,
    ...(middle === undefined ? [] : [`  ${command} edges all --at ${middle.end}`]),
    `  ${command} paths --state not-encrypted`,
    `  ${command} workloads`,
    `  ${command} rebuild`,
    `  ${command} log check`,
    `  ${commandName()} verify ${join(OUT, 'store')} --key ${vkey}`,
  ]
}

/** How this command is started here: by its file in a clone, by npx where it is installed. */
function commandName(): string {
  const root = join(import.meta.dirname, '../../..')
  if (root.includes(`${sep}node_modules${sep}`)) return 'npx ciphertrail'
  const file = relative(process.cwd(), join(root, 'bin', 'ciphertrail.js'))
  return file.startsWith('..') ? file : `.${sep}${file}`
}
