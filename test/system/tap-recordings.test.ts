import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { readTap } from '../../lib/assess/window/tap-reading.ts'
import { decodeTapEvent } from '../../lib/observed/tap-events.ts'
import { findRecording } from '../support/truth/recordings.ts'
import { type Decoded, framesOf } from '../support/truth/tap-recordings.ts'

function read(file: string): Buffer {
  return existsSync(file) ? readFileSync(file) : gunzipSync(readFileSync(`${file}.gz`))
}

test('every answer of tap in the recordings reads as Linkerd’s own decoder read it', (context) => {
  let [answers, events] = [0, 0]
  const states = new Map<string, number>()
  for (const name of ['demo', 'public'] as const) {
    const folder = findRecording(name)
    if (folder === undefined) continue
    const files = readdirSync(join(folder, 'tap')).filter((file) => /\.raw\.bin(\.gz)?$/.test(file))
    for (const file of files.map((one) => join(folder, 'tap', one.replace(/\.gz$/, '')))) {
      const ours = framesOf(read(file)).map((frame) => decodeTapEvent(frame, { withPaths: true }))
      const theirs = read(`${file}.jsonl`)
        .toString()
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Decoded)
      assert.equal(ours.length, theirs.length)
      answers++
      for (const [index, event] of ours.entries()) {
        const { sourceMeta, destinationMeta, proxyDirection, http } = theirs[index] ?? assert.fail()
        assert.equal(event.proxy, proxyDirection === 'INBOUND' ? 'in' : 'out')
        assert.deepEqual(Object.fromEntries(event.source.labels), sourceMeta.labels ?? {})
        assert.deepEqual(Object.fromEntries(event.destination.labels), destinationMeta.labels ?? {})
        assert.equal(event.http?.kind === 'request' ? event.http.path : undefined, http.requestInit?.path)
        const { state } = readTap(event)
        states.set(state, (states.get(state) ?? 0) + 1)
        events++
      }
    }
  }
  context.diagnostic(
    `${answers} answers, ${events} events: ${[...states].map(([state, count]) => `${count} ${state}`).join(', ')}`,
  )
  // The recording that lies here has 171.
  assert.ok(answers >= 3 && events >= 150)
})
