import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { VizEdgesError, parseVizEdges } from '../../lib/observed/viz-edges.ts'

const FOLDER = join(import.meta.dirname, '../recordings/demo/edges')
const files = readdirSync(FOLDER).filter((name) => name.endsWith('.json'))

/** What the dashboard says where the command line says this. */
function dashboardOf(edges: ReturnType<typeof parseVizEdges>): string {
  const end = (namespace: string, name: string) => ({ namespace, type: 'deployment', name })
  return JSON.stringify({
    ok: {
      edges: edges.map((edge) => ({
        src: end(edge.src_namespace, edge.src),
        dst: end(edge.dst_namespace, edge.dst),
        clientId: edge.client_id,
        serverId: edge.server_id,
        noIdentityMsg: edge.no_tls_reason,
      })),
    },
  })
}

test('parseVizEdges() reads every recorded listing, and the same from the dashboard’s answer', () => {
  assert.ok(files.length > 50)
  let count = 0
  for (const name of files) {
    const edges = parseVizEdges(readFileSync(join(FOLDER, name), 'utf8'))
    count += edges.length
    assert.deepEqual(
      parseVizEdges(dashboardOf(edges)),
      edges.map((edge) => ({ ...edge, kind: 'deployment' })),
    )
  }
  assert.ok(count > 500)
})

test('parseVizEdges() says why there are no edges', () => {
  const lines: readonly (readonly [string, RegExp])[] = [
    ['', /^it is no JSON$/],
    ['{"ok":{"edges":[{', /^it is no JSON$/],
    ['{"error":"rpc error: code = Unavailable"}', /^viz says "rpc error: code = Unavailable"$/],
    [
      '{"error":{"resource":{"type":"x"},"error":"unsupported resource type"}}',
      /^viz says "unsupported resource type"$/,
    ],
    ['{"ok":{}}', /^it holds no edges, wanted the JSON of linkerd viz edges -o json or of \/api\/edges$/],
    ['[{"src":"web"}]', /^it holds no edges/],
    ['null', /^it holds no edges/],
  ]
  for (const [json, line] of lines)
    assert.throws(
      () => parseVizEdges(json),
      (error: unknown) => error instanceof VizEdgesError && line.test(error.message),
    )
  assert.deepEqual(parseVizEdges('[]'), [])
})

test('parseVizEdges() gives edges or says why not, of any JSON', () => {
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string()), (json) => {
      try {
        assert.ok(Array.isArray(parseVizEdges(json)))
      } catch (error) {
        assert.ok(error instanceof VizEdgesError && !/\n/.test(error.message))
      }
    }),
  )
})
