import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { layOutGraph } from '../../../lib/report/drawing/graph-layout.ts'
import { summarise } from '../../../lib/report/summary/summary.ts'
import { viewOf } from '../../../lib/report/report-view.ts'
import {
  type StoryPath,
  cluster,
  hours,
  manyPaths,
  report,
  storyOfAWeek,
  workload,
} from '../../support/stored/report-input.ts'

const graphs = fc.integer({ min: 1, max: 12 }).chain((size) =>
  fc.record({
    nodes: fc.array(
      fc.record({
        width: fc.integer({ min: 10, max: 200 }),
        height: fc.constant(16),
        group: fc.option(fc.nat({ max: 2 }), { nil: null }),
      }),
      { minLength: size, maxLength: size },
    ),
    edges: fc.array(
      fc.record({
        from: fc.nat({ max: size - 1 }),
        to: fc.nat({ max: size - 1 }),
        labelWidth: fc.integer({ min: 1, max: 60 }),
      }),
      { maxLength: 20 },
    ),
  }),
)

test('every box and arrow gets a place inside the drawing, also loops and arrows side by side, the same each time', () => {
  const groups = [{ labelWidth: 20 }, { labelWidth: 40 }, { labelWidth: 60 }]
  fc.assert(
    fc.property(graphs, ({ nodes, edges }) => {
      const layout = layOutGraph(nodes, edges, groups)
      assert.ok(layout !== undefined)
      assert.deepEqual([layout.nodes.length, layout.edges.length], [nodes.length, edges.length])
      for (const { x, y, width, height } of layout.nodes) {
        assert.ok(x >= -1 && y >= -1 && x + width <= layout.width + 1 && y + height <= layout.height + 1)
      }
      for (const { curve, label } of layout.edges) {
        assert.ok(curve.pieces.length > 0)
        assert.ok([...curve.start, ...curve.pieces.flat(), ...label].every(Number.isFinite))
      }
      assert.deepEqual(layOutGraph(nodes, edges, groups), layout)
    }),
    { numRuns: 40 },
  )
})

const END = hours().length - 1

const drawingsOf = (input: ReturnType<typeof storyOfAWeek>) =>
  viewOf(summarise(input)).sections.find(({ id }) => id === 'data-flow')?.drawings ?? []

test('what was not encrypted is drawn in front of everything else', () => {
  const [west] = drawingsOf(storyOfAWeek())
  const paints = west?.layers.flatMap(({ lines }) => lines.map(({ paint }) => paint)) ?? []
  assert.equal(paints.at(-1), 'plaintext')
  assert.ok(paints.indexOf('mtls') < paints.indexOf('plaintext'))
})

test('a path is drawn as the worst that was seen of it, with a mark where that is too little for a verdict', () => {
  const stretches: Record<string, StoryPath['stretches']> = {
    whole: [{ from: 0, to: END, state: 'mtls' }],
    lately: [{ from: END, to: END, state: 'mtls' }],
    doubted: [
      { from: 0, to: 9, state: 'mtls' },
      { from: 10, to: END, state: 'unknown', reason: 'labels-overridden' },
    ],
    clear: [
      { from: 0, to: 9, state: 'plaintext' },
      { from: 10, to: END, state: 'mtls' },
    ],
    unseen: [{ from: 0, to: END, state: 'unknown' }],
  }
  const drawn = (windows: ReturnType<typeof hours>) => {
    const paths = Object.entries(stretches).map(([name, own], index): StoryPath => ({
      pathId: `${index}`,
      source: workload('deployment', 'shop', 'web'),
      destination: workload('deployment', 'shop', name),
      port: 8000 + index,
      stretches: own,
    }))
    const [drawing] = drawingsOf(report([cluster('west', windows, paths)]))
    const labels =
      drawing?.layers.flatMap((one) => (one.boxes.length > 0 ? [] : one.labels.map(({ text }) => text))) ?? []
    const paints = drawing?.layers.flatMap(({ lines }) => lines.map(({ paint }) => paint)) ?? []
    return { labels: labels.filter((text) => / 800\d$/u.test(text)).toSorted(), paints, words: drawing?.words ?? '' }
  }
  const all = drawn(hours())
  assert.deepEqual(all.labels, ['? 8002', '? 8004', '▲ 8003', '● 8000', '● 8001'])
  const half = drawn(hours({ missing: Array.from({ length: 80 }, (_, index) => index + 20) }))
  assert.deepEqual(half.labels, ['? 8002', '? 8004', '▲ 8003', '●? 8000', '●? 8001'])
  assert.deepEqual(half.paints, ['mtls', 'mtls', 'unknown', 'unknown', 'plaintext'])
  assert.match(half.words, /1 of them unencrypted, 2 unknown and 2 with too little seen for a verdict/u)
})

test('too many paths to draw are joined by namespaces, and that is said', () => {
  const [west] = drawingsOf(manyPaths(300))
  assert.match(west?.caption ?? '', /left out, since there are too many to draw|too many workloads to draw/u)
  assert.ok((west?.layers.length ?? 99) <= 67)
  assert.ok((west?.layers.at(-1)?.boxes.length ?? 99) <= 60)
})

test('what is not judged is one box for each class, and a client without an identity stands at the port that it reaches', () => {
  const [west] = drawingsOf(storyOfAWeek())
  const names = west?.layers.at(-1)?.labels.map(({ text }) => text) ?? []
  assert.ok(names.includes('Linkerd’s own') && !names.includes('linkerd-proxy-injector'))
  assert.ok(names.includes('perhaps audit-export'))
  assert.equal(names.filter((name) => name === '(unmeshed)').length, 4)
})
