import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { v5 } from 'uuid'
import { OWN_NAMES, stableUuid } from '../../lib/report/stable-uuid.ts'

test('stableUuid() gives the UUID of version 5 that the package uuid gives, for any parts', () => {
  const namespace = OWN_NAMES.slice('urn:uuid:'.length)
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme' })), (parts) => {
      assert.equal(stableUuid(...parts), v5(Buffer.from(JSON.stringify(parts)), namespace))
    }),
  )
})
