import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative, sep } from 'node:path'
import { actionLines } from '../../action-lines.ts'
import type { Console } from '../../console.ts'
import { isWantedPath, pathLines, pathsNow } from '../../path-table.ts'
import { tableWidth, wrapped } from '../../terminal-table.ts'
import { pathOf, writeReport } from '../report.ts'
import { packDemo } from './pack-demo.ts'
import { deriveDeps } from '../../open-store.ts'
import { openCluster } from '../../../lib/collect/cluster/open-cluster.ts'
import { collectWindow } from '../../../lib/collect/snapshot.ts'
import { SETTLE_SECONDS, toSeconds, toTime } from '../../../lib/time/windows.ts'
import { readConfig } from '../../../lib/config.ts'
import type { Cluster } from '../../../lib/model/registry.ts'
import type { Snapshot } from '../../../lib/model/snapshot.ts'
import type { Window } from '../../../lib/model/time.ts'
import { datesOf } from '../../../lib/time/dates.ts'
import { byteWords, plural } from '../../../lib/report/words/vocabulary.ts'
import { standingOf } from '../../../lib/report/summary/standing.ts'
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
export const OUT = 'demo-output'

/** Beside the store, as for every store. */
const KEY = join(OUT, 'store.key')

/** What an auditor would get. */
const PACK = join(OUT, 'audit-pack.zip')

/** What marks the folder as one that may be removed. */
const MARK = 'this-is-a-ciphertrail-demo'

const CLUSTER = 'demo'

/** What the demo writes to, and what it says its progress to. */
type DemoConsole = Pick<
  Console,
  'colors' | 'width' | 'out' | 'err' | 'progress' | 'progressEnd' | 'version' | 'now' | 'user'
>

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
  const pack = await packDemo({ file: PACK, documents: OUT, period, vkey }, { objects, console })

  const width = tableWidth(console)
  const folded = (texts: readonly string[]) => (width === null ? texts : texts.flatMap((line) => wrapped(line, width)))
  const open = pathsNow(summary).filter((path) => isWantedPath(path, { state: 'not-encrypted' }))
  const lines = [
    ...folded([replay, '']),
    ...whatWasDone(snapshots, seconds),
    ...folded(['', view.verdict, '']),
    ...pathLines(open, { ...standingOf(summary), others: [] }, console),
    ...folded(['', ...actionLines(summary, datesOf(period).moment), '', 'Not seen', ...view.pageOne.notSeen, '']),
    ...whereLines(report.files),
    sealedLine(verified),
    ...pack.lines,
    '',
    ...nextLines(windows, vkey),
  ]
  for (const line of lines) console.out(line)
  return snapshots.every(({ complete }) => complete) && isProved(verified) && pack.isProved ? 0 : 1
}

/** From the first window to the last. */
function periodOf(windows: readonly Window[]): { from: string; to: string } {
  return { from: windows[0]?.start ?? '', to: windows.at(-1)?.end ?? '' }
}

function replayWords(windows: readonly Window[]): string {
  const { from, to } = periodOf(windows)
  const recorded = datesOf({ from, to, timeZone: 'UTC' }).fullRange(from, to)
  return `This is a replay of what a real Linkerd mesh did on ${recorded} (UTC): no cluster was read now.`
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
    `  ${command} status`,
    `  ${command} paths --state not-encrypted`,
    `  ${command} edges deployment`,
    ...(middle === undefined ? [] : [`  ${command} edges all --at ${middle.end}`]),
    `  ${command} workloads`,
    `  ${command} log check`,
    `  ${commandName()} verify ${join(OUT, 'store')} --key ${vkey}`,
    `  ${commandName()} verify ${PACK} --key ${vkey}`,
  ]
}

/** How this command is started here: by its file in a clone, by npx where it is installed. */
function commandName(): string {
  const root = join(import.meta.dirname, '../../..')
  if (root.includes(`${sep}node_modules${sep}`)) return 'npx ciphertrail'
  const file = relative(process.cwd(), join(root, 'bin', 'ciphertrail.js'))
  return file.startsWith('..') ? file : `.${sep}${file}`
}
