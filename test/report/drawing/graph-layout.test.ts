import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { layOutGraph } from '../../../lib/report/drawing/graph-layout.ts'
import { summarise } from '../../../lib/report/summary/summary.ts'
import { viewOf } from '../../../lib/report/report-view.ts'
import { manyPaths, storyOfAWeek } from '../../support/stored/report-input.ts'

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

const drawingsOf = (input: ReturnType<typeof storyOfAWeek>) =>
  viewOf(summarise(input)).sections.find(({ id }) => id === 'data-flow')?.drawings ?? []

test('what was not encrypted is drawn in front of everything else', () => {
  const [west] = drawingsOf(storyOfAWeek())
  const paints = west?.layers.flatMap(({ lines }) => lines.map(({ paint }) => paint)) ?? []
  assert.equal(paints.at(-1), 'plaintext')
  assert.ok(paints.indexOf('mtls') < paints.indexOf('plaintext'))
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
