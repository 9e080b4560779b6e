import assert from 'node:assert/strict'
import { test } from 'node:test'
import { capturedFlows, readCaptures, writeCapture } from '../../../lib/store/evidence/captures.ts'
import { packetsKey, parseEvidenceKey, parsePacketsKey } from '../../../lib/store/keys.ts'
import { captureNames, captureRows, captureOf, flowsOf } from '../../support/truth/captures.ts'
import { freshStore } from '../../support/stored/fresh-store.ts'
import { errorText, textWith } from '../../support/texts/matches-text.ts'

const flows = flowsOf(captureRows(captureNames()[0] ?? ''))

const capture = (changes: Parameters<typeof captureOf>[0] = {}) => captureOf({ ...capturedFlows(flows), ...changes })

test('a capture is kept once as evidence, and read again in the periods that may hold packets of it', async (context) => {
  const objects = await freshStore(context)
  const key = await writeCapture(capture(), objects)
  assert.equal(await writeCapture(capture(), objects), key)
  assert.match(key, /^evidence\/packets\/shop\/20261124T131326Z-[0-9a-f]{16}\.json$/)
  await writeCapture(capture({ cluster: 'other' }), objects)
  const read = async (from: string, to: string) => (await readCaptures('shop', { from, to }, objects)).length
  assert.equal(await read('2026-11-24T13:10:00Z', '2026-11-24T13:20:00Z'), 1)
  // It may have lasted into the period.
  assert.equal(await read('2026-11-24T13:20:00Z', '2026-11-24T13:30:00Z'), 1)
  assert.equal(await read('2026-11-24T15:00:00Z', '2026-11-24T16:00:00Z'), 0)
  assert.equal(await read('2026-11-24T13:00:00Z', '2026-11-24T13:10:00Z'), 0)
  const [kept] = await readCaptures('shop', { from: '2026-11-24T13:10:00Z', to: '2026-11-24T13:20:00Z' }, objects)
  assert.deepEqual(
    kept?.flows.map(({ client, verdict, reason }) => [client, verdict, reason]),
    flows.map(({ client, verdict, reason }) => [client, verdict, reason]),
  )
})

test('a capture that cannot be read is an error, since nothing must seem to agree for it', async (context) => {
  const objects = await freshStore(context)
  const key = packetsKey('shop', '2026-11-24T13:13:26Z', '0'.repeat(64))
  await objects.putOnce(key, Buffer.from('{"format":"ciphertrail/packets/1"}'))
  await assert.rejects(
    readCaptures('shop', { from: '2026-11-24T13:10:00Z', to: '2026-11-24T13:20:00Z' }, objects),
    errorText({ message: textWith({ key }) }),
  )
})

test('the key of a capture is no key of an attempt, and names its cluster and its time', () => {
  const key = packetsKey('shop', '2026-11-24T13:13:26Z', 'ab'.repeat(32))
  assert.deepEqual(parsePacketsKey(key), { cluster: 'shop', from: '2026-11-24T13:13:26Z' })
  assert.equal(parseEvidenceKey(key), undefined)
  for (const text of [key.replace('shop', 'Shop'), key.replace('20261124', '20261324'), `${key}x`, key.slice(0, -6)])
    assert.equal(parsePacketsKey(text), undefined, text)
  assert.throws(() => packetsKey('shop', '2026-11-24', 'ab'), RangeError)
})
