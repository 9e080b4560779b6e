import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import { DEMO_FIXTURE, openFixture } from '../demo/fixture.ts'
import { kubernetesReplay, vizForward } from '../demo/replay-kubernetes.ts'
import { startPrometheusReplay } from '../demo/replay-prometheus.ts'
import { startVizReplay } from '../demo/replay-viz.ts'
import { linesOf, run } from './support/process/command-line.ts'
import { collectByCommand, collectWindowByCommand, storeFolder } from './support/truth/judged-line.ts'
import { startKubernetesServer } from './support/servers/kubernetes-server.ts'
import { freshFolder } from './support/recorder.ts'
import { copyStore } from './support/stored/trusted-store.ts'

/** What follows from evidence. `state` also names each attempt, so it differs where there were more of them. */
const DERIVED = ['windows', 'state']

/** A recorded mesh with its first windows, and a fresh folder to collect them in. Its Prometheus is forwarded to, too. */
async function startMesh(context: TestContext) {
  const fixture = openFixture(DEMO_FIXTURE)
  const windows = fixture.windows.slice(0, 3)
  const start = windows[0]?.start ?? ''
  const latest = windows.at(-1)?.end ?? ''
  const kubernetes = await startKubernetesServer(fixture.kubernetes, start)
  context.after(() => kubernetes.close())
  const prometheus = await startPrometheusReplay(fixture.prometheus, start)
  context.after(() => prometheus.close())
  const viz = await startVizReplay(DEMO_FIXTURE, latest)
  context.after(() => viz.close())
  const ports = { prometheus: Number(new URL(prometheus.url).port), web: Number(new URL(viz.url).port) }
  kubernetes.forward((wanted) => vizForward(kubernetesReplay(fixture.kubernetes), new Date(latest), wanted, ports))
  return { folder: freshFolder(context), kubernetes, prometheusUrl: prometheus.url, windows }
}

/** The hashes of all objects below some folders of a store, by name. */
function objectsIn(store: string, folders: readonly string[]): Map<string, string> {
  const names = folders.flatMap((folder) =>
    readdirSync(join(store, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name).slice(store.length + 1)),
  )
  const hashOf = (name: string) =>
    createHash('sha256')
      .update(readFileSync(join(store, name)))
      .digest('hex')
  return new Map(names.toSorted().map((name) => [name, hashOf(name)]))
}

/** The window results of a store, without the names of the evidence: a later attempt may have the same Kubernetes lists. */
function windowsIn(mesh: { readonly folder: string }): Record<string, unknown>[] {
  const folder = join(storeFolder(mesh), 'windows/mesh')
  return readdirSync(folder)
    .toSorted()
    .map((name) => {
      const { inputs, ...result } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as Record<string, unknown>
      return result
    })
}

describe('The same evidence gives the same content', () => {
  test('a window that is collected again, and by two at once, changes nothing that is derived', async (context) => {
    const once = await startMesh(context)
    await collectByCommand(once)
    const often = await startMesh(context)
    await collectByCommand(often)
    for (const window of often.windows) {
      await collectWindowByCommand(often, window)
      await Promise.all([collectWindowByCommand(often, window), collectWindowByCommand(often, window)])
    }
    // Two at once may be of one mind about number and bytes: then theirs is one attempt.
    const attempts = objectsIn(storeFolder(often), ['evidence']).size / often.windows.length
    assert.ok(attempts >= 3 && attempts <= 4, `${attempts} attempts for a window`)

    assert.deepEqual(windowsIn(often), windowsIn(once))
    // What was missed since then grows while the test runs.
    const now = once.windows.at(-1)?.end
    // Each attempt is named; what they say is the same.
    const paths = async ({ folder }: { folder: string }): Promise<string[]> =>
      linesOf((await run(['paths', '--json'], { folder, now })).stdout).map((line) =>
        JSON.stringify({ ...(JSON.parse(line) as object), evidence: null }),
      )
    assert.deepEqual(await paths(often), await paths(once))
  })

  test('a cluster that is registered by its kubeconfig alone is collected through its API server', async (context) => {
    const { prometheusUrl, ...byUrl } = await startMesh(context)
    await collectByCommand({ ...byUrl, prometheusUrl })
    const { prometheusUrl: _, ...byForward } = await startMesh(context)
    await collectByCommand(byForward)
    // By port-forward viz's dashboard is asked as well; nothing that is told of paths depends on it.
    const ofViz = windowsIn(byForward).map(({ viz }) => viz !== undefined)
    assert.deepEqual(ofViz, [true, true, true])
    assert.deepEqual(
      windowsIn(byForward).map(({ viz, ...result }) => result),
      windowsIn(byUrl),
    )
    const forwards = ({ kubernetes }: typeof byUrl): string[] =>
      kubernetes.asked.filter((url) => url.includes('/portforward'))
    assert.deepEqual(forwards(byUrl), [])
    // One for each of a few connections, to Prometheus and to the dashboard, in each of three runs.
    assert.ok(forwards(byForward).length >= 3 && forwards(byForward).length <= 24, forwards(byForward).join('\n'))
  })

  test('rebuild makes every derived object again, byte for byte', async (context) => {
    const mesh = await startMesh(context)
    await collectByCommand(mesh)
    const store = storeFolder(mesh)
    // What was asked again is not derived: without it some windows are asked once more.
    rmSync(join(store, 'state', '_asked'), { recursive: true, force: true })
    const expected = objectsIn(store, DERIVED)
    // The windows, the state, and what they come to: of the months none is written before the next day.
    assert.equal(expected.size, mesh.windows.length + 2)
    assert.ok(!existsSync(join(store, 'timeline')))

    const copy = join(freshFolder(context), 'copy')
    copyStore(store, copy)
    for (const folder of DERIVED) rmSync(join(copy, folder), { recursive: true })
    const rebuilt = await run(['--store', copy, 'rebuild'], { folder: mesh.folder })
    assert.deepEqual([rebuilt.code, rebuilt.stderr], [0, ''])
    assert.deepEqual(objectsIn(copy, DERIVED), expected)

    // Over what is there already, too.
    assert.equal((await run(['rebuild'], { folder: mesh.folder })).code, 0)
    assert.deepEqual(objectsIn(store, DERIVED), expected)
  })
})
