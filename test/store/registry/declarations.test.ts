import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readScopes } from '../../../lib/assess/judge/parse-scope.ts'
import { parseWaivers } from '../../../lib/assess/judge/parse-waivers.ts'
import { recordChange } from '../../../lib/store/registry/changes.ts'
import {
  DeclarationError,
  declareScope,
  declareWaivers,
  declaredScope,
  declaredWaivers,
} from '../../../lib/store/registry/declarations.ts'
import { changeKey } from '../../../lib/store/keys.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { freshStore } from '../../support/stored/fresh-store.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const ada = { now: new Date('2026-11-24T12:34:56Z'), by: 'ada' }

const scope = readScopes(`
report:
  organisation: Example
  wantedShare: 95
pci-dss:
  clusters: [shop]
  namespaces: ["pay-*"]
  labels: {pci: "true"}
  owner: grc@example.com
  wantedShare: 99.9
  reason: cardholder data
soc-2:
  - {clusters: [shop], namespaces: [], owner: grc, reason: all of it}
`).value
const waivers = parseWaivers(`
old-ftp:
  source: deployment/legacy/ftp
  destination: external/ftp.example.com
  port: 21
  owner: ada
  reason: the partner has no TLS
  compensatingControl: a dedicated line
  expires: 2027-01-31T00:00:00Z
`).value

test('what was declared is read back with who and when, and nothing is there before', async (t) => {
  assert.ok(scope !== null && waivers !== null)
  const objects = await freshStore(t)
  assert.deepEqual(await declaredScope(objects), { declared: { scopes: [], report: {} }, change: null })
  assert.deepEqual(await declaredWaivers(objects), { declared: [], change: null })
  assert.equal(await declareScope(scope, ada, objects), true)
  assert.equal(await declareWaivers(waivers, ada, objects), true)
  const change = { number: 1, at: '2026-11-24T12:34:56Z', by: 'ada' }
  assert.deepEqual(await declaredScope(objects), { declared: scope, change })
  assert.deepEqual(await declaredWaivers(objects), { declared: waivers, change })
})

test('declaring the same again records nothing, and declaring nothing takes everything back with a trace', async (t) => {
  assert.ok(waivers !== null)
  const objects = await freshStore(t)
  assert.equal(await declareWaivers(waivers, ada, objects), true)
  assert.equal(await declareWaivers(waivers, { ...ada, by: 'grace' }, objects), false)
  assert.equal(await declareWaivers([], { ...ada, by: 'grace' }, objects), true)
  const { declared, change } = await declaredWaivers(objects)
  assert.deepEqual(declared, [])
  assert.deepEqual([change?.number, change?.by], [2, 'grace'])
  assert.notEqual(await objects.get(changeKey('waivers', 1)), undefined)
})

test('of two who declare different things at once one is told, and the other one holds', async (t) => {
  assert.ok(waivers !== null)
  const objects = await freshStore(t)
  const late: Objects = {
    ...objects,
    putOnce: async (key, body) => {
      await recordChange(
        { kind: 'waivers', number: 1, content: { format: 'ciphertrail/waivers/1', waivers: [] } },
        ada,
        objects,
      )
      return objects.putOnce(key, body)
    },
  }
  await assert.rejects(declareWaivers(waivers, ada, late), (error) => {
    assert.ok(error instanceof DeclarationError)
    matchesText(error.message)
    return true
  })
  assert.deepEqual((await declaredWaivers(objects)).declared, [])
})

test('a damaged declaration is one clear line that names its key, and is never taken for none', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), async (content) => {
      const objects = await freshStore(t)
      await recordChange({ kind: 'waivers', number: 1, content }, ada, objects)
      const message =
        'Cannot read "changes/waivers/000001.json": it is damaged, put back a copy of it, as nothing can make it again'
      await assert.rejects(declaredWaivers(objects), { message })
    }),
    { numRuns: 20 },
  )
})
