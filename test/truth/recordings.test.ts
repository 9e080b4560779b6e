import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { DEMO_FIXTURE, openFixture } from '../../demo/fixture.ts'
import { startPrometheusReplay } from '../../demo/replay-prometheus.ts'
import type { WindowResult } from '../../lib/model/window.ts'
import { directoryObjects } from '../../lib/store/objects/directory.ts'
import { readWindow } from '../../lib/history/cluster-state.ts'
import { EXCEPTIONS, exceptionsTable, unnamed } from '../support/truth/exceptions.ts'
import { collectByCommand, reportedByCommand, storeFolder } from '../support/truth/judged-line.ts'
import { startKubernetesServer } from '../support/servers/kubernetes-server.ts'
import { freshFolder } from '../support/recorder.ts'
import { readEdges, readListings, readTruth } from '../support/truth/recordings.ts'
import { confusionTable, edgesTable, isCase, judge } from '../support/truth/truth.ts'
import { VIZ_DIFFERENCES, compareListings, differencesTable, unexplained } from '../support/truth/viz-differences.ts'

const TEST = join(import.meta.dirname, '..')

/** The fixtures, and where their truth lies. */
const FIXTURES = {
  demo: { fixture: DEMO_FIXTURE, truth: join(TEST, 'recordings/demo') },
  public: { fixture: join(TEST, 'fixtures/public'), truth: join(TEST, 'fixtures/public') },
  lives: { fixture: join(TEST, 'fixtures/lives'), truth: join(TEST, 'fixtures/lives') },
} as const

/** A Markdown table without the padding that the formatter gives it. */
function unpadded(markdown: string): string {
  return markdown.replaceAll(/-{2,}/g, '--').replaceAll(/ {2,}/g, ' ')
}

const page = unpadded(readFileSync(join(TEST, '../docs/truth.md'), 'utf8'))

describe('What was on the wire, and what ciphertrail says of it', () => {
  for (const name of ['demo', 'public', 'lives'] as const)
    test(`the command line on the fixture "${name}" is right but for the named exceptions, and docs/truth.md says so`, async (context) => {
      const fixture = openFixture(FIXTURES[name].fixture)
      const start = fixture.windows[0]?.start ?? ''
      const kubernetes = await startKubernetesServer(fixture.kubernetes, start)
      context.after(() => kubernetes.close())
      const prometheus = await startPrometheusReplay(fixture.prometheus, start)
      context.after(() => prometheus.close())
      const mesh = {
        folder: freshFolder(context),
        kubernetes,
        prometheusUrl: prometheus.url,
        windows: fixture.windows,
      }
      await collectByCommand(mesh)
      const truth = readTruth(FIXTURES[name].truth, fixture.windows)
      const judgement = judge(truth, await reportedByCommand(mesh))

      assert.deepEqual(judgement.false, [])
      assert.deepEqual(judgement.missed, [])
      assert.deepEqual(judgement.falseAlarms, [])
      assert.deepEqual(judgement.absent, [])
      assert.deepEqual(unnamed(judgement, EXCEPTIONS[name]), [])

      const ours = confusionTable(judgement)
      const edges = edgesTable(truth, readEdges({ folder: FIXTURES[name].truth, lists: [] }, 'workloads'))
      context.diagnostic(`${name}, ciphertrail:\n${ours}\n${name}, linkerd viz edges:\n${edges}`)
      for (const table of [ours, edges, exceptionsTable(EXCEPTIONS[name])])
        assert.ok(page.includes(unpadded(table)), `docs/truth.md lacks\n${table}`)

      const results = new Map<string, WindowResult>()
      for (const { start: from, end } of fixture.windows) {
        const result = await readWindow('mesh', from, directoryObjects(storeFolder(mesh)))
        if (result !== undefined) results.set(end, result)
      }
      const listings = readListings(FIXTURES[name].truth)
      const compared = compareListings(listings, fixture.windows, ({ end }) => results.get(end))
      assert.deepEqual(unexplained(compared, VIZ_DIFFERENCES[name], truth), [])
      const beside = `Of ${compared.rows} rows of its listings, ${compared.alike} are shown alike.`
      for (const text of [beside, differencesTable(VIZ_DIFFERENCES[name])])
        assert.ok(page.includes(unpadded(text)), `docs/truth.md lacks\n${text}`)

      // The demo is short, and its first window has no list before it: the exceptions name the two paths.
      if (name !== 'demo') {
        const unknown = judgement.unknown.filter(({ path }) => isCase(path))
        const all = judgement.verdicts.filter(({ path, truth: wire }) => isCase(path) && wire === 'mtls')
        assert.ok(unknown.length * 50 <= all.length, `${unknown.length} of ${all.length} are unknown`)
      }
    })
})
