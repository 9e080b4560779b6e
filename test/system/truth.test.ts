import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { DEMO_FIXTURE, openFixture } from '../../demo/fixture.ts'
import { record } from '../../record/record.ts'
import { startPrometheus } from '../../demo/recorded-prometheus.ts'
import type { Window } from '../../lib/model/time.ts'
import type { WindowResult } from '../../lib/model/window.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { readWindow } from '../../lib/history/cluster-state.ts'
import { EXCEPTIONS, unnamed } from '../support/truth/exceptions.ts'
import { collectByCommand, reportedByCommand, storeFolder } from '../support/truth/judged-line.ts'
import { startKubernetesServer } from '../support/servers/kubernetes-server.ts'
import { freshFolder } from '../support/recorder.ts'
import { findRecording, openRecording, readEdges, readListings, readTruth } from '../support/truth/recordings.ts'
import { confusionTable, edgesTable, judge } from '../support/truth/truth.ts'
import {
  VIZ_DIFFERENCES,
  VIZ_POD_DIFFERENCES,
  compareListings,
  compareRows,
  unexplained,
} from '../support/truth/viz-differences.ts'

const FIXTURES = {
  demo: DEMO_FIXTURE,
  public: join(import.meta.dirname, '../fixtures/public'),
  lives: join(import.meta.dirname, '../fixtures/lives'),
} as const

function recordingOf(name: keyof typeof FIXTURES): string {
  const folder = findRecording(name)
  if (folder === undefined) throw new Error(`Cannot judge "${name}": its recording is not there`)
  return folder
}

async function judgedOn(name: keyof typeof FIXTURES, context: TestContext): Promise<void> {
  const recording = openRecording(recordingOf(name))
  const { windows } = openFixture(FIXTURES[name])
  const prometheus = await startPrometheus(recording.tsdb)
  context.after(() => prometheus.stop())
  const kubernetes = await startKubernetesServer(join(recording.folder, 'k8s'), windows[0]?.start ?? '')
  context.after(() => kubernetes.close())
  const mesh = { folder: freshFolder(context), kubernetes, prometheusUrl: prometheus.url, windows }
  await collectByCommand(mesh)
  const truth = readTruth(recording.folder, windows)
  const judgement = judge(truth, await reportedByCommand(mesh))

  assert.deepEqual(judgement.false, [])
  assert.deepEqual(judgement.missed, [])
  assert.deepEqual(judgement.falseAlarms, [])
  assert.deepEqual(judgement.absent, [])
  assert.deepEqual(unnamed(judgement, EXCEPTIONS[name]), [])

  const results = new Map<string, WindowResult>()
  for (const { start, end } of windows) {
    const result = await readWindow('mesh', start, directoryObjects(storeFolder(mesh)))
    if (result !== undefined) results.set(end, result)
  }
  const resultOf = ({ end }: Window) => results.get(end)
  const compared = compareListings(readListings(recording.folder), windows, resultOf)
  assert.deepEqual(unexplained(compared, VIZ_DIFFERENCES[name], truth), [])
  // Only the larger recording has listings of pods.
  const rows = compareRows(readEdges(recording, 'workloads and pods'), windows, resultOf)
  if (name === 'public') assert.deepEqual(unexplained(rows, VIZ_POD_DIFFERENCES, truth), [])
  context.diagnostic(
    `${name}: ${compared.alike} of ${compared.rows} rows alike, with pods ${rows.alike} of ${rows.rows}`,
  )
  context.diagnostic(
    [
      `${name}, ciphertrail:\n${confusionTable(judgement)}`,
      ...(['workloads', 'workloads and pods'] as const).map(
        (rows) => `${name}, linkerd viz edges of ${rows}:\n${edgesTable(truth, readEdges(recording, rows))}`,
      ),
    ].join('\n'),
  )
}

/** The files of a fixture, unpacked, since a packer may change. */
function contentOf(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.gz'))
  return new Map(files.toSorted().map((name) => [name, gunzipSync(readFileSync(join(folder, name))).toString()]))
}

describe('A real Prometheus on recorded data', () => {
  // The other recordings are not part of the repository; without them, npm test still judges the fixtures that were made of them.
  const judged = (['demo', 'public', 'lives'] as const).filter((name) => findRecording(name) !== undefined)
  if (judged.length < 3)
    console.log(
      `Judged are only ${judged.join(' and ')}: CIPHERTRAIL_RECORDINGS names no folder "public" with "lives" beside it`,
    )
  for (const name of judged) {
    test(`the command line on the recording "${name}" is right but for the named exceptions`, (context) =>
      judgedOn(name, context))

    test(`the fixture "${name}" is what "npm run record" makes of the recording`, async (context) => {
      recordingOf(name)
      const folder = join(freshFolder(context), name)
      await record(name, folder)
      const [kept, made] = [contentOf(FIXTURES[name]), contentOf(folder)]
      assert.deepEqual([...made.keys()], [...kept.keys()])
      for (const [file, text] of made) assert.ok(text === kept.get(file), `${file} differs, run "npm run record"`)
    })
  }
})
