import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assessWindow } from '../../../lib/assess/window/window.ts'
import { rebuildCluster } from '../../../lib/history/derive.ts'
import { readHistory } from '../../../lib/history/cluster-state.ts'
import { formatLeaf } from '../../../lib/seal/leaf.ts'
import { seal } from '../../../lib/seal/write/seal.ts'
import { signCheckpoint } from '../../../lib/seal/tlog/checkpoint.ts'
import { encodeBatch, leafEntry } from '../../../lib/seal/write/batch.ts'
import { encodeBundle } from '../../../lib/seal/tlog/tiles.ts'
import { checkStore } from '../../../lib/seal/verify/check-store.ts'
import { verifyStore } from '../../../lib/seal/verify/verify-period.ts'
import { encodeSnapshot } from '../../../lib/store/evidence/evidence.ts'
import { batchKey, indexKey } from '../../../lib/store/log-keys.ts'
import { readClusters } from '../../../lib/store/registry/registry.ts'
import { damaged, type Held } from '../../support/stored/damage.ts'
import { newSigner } from '../../support/stored/memory-log.ts'
import { memoryObjects } from '../../support/stored/memory-objects.ts'
import { fillStore, minutesIn, snapshotOf } from '../../support/stored/sealed-store.ts'

/** What somebody without the key can do to a sealed store, one thing at a time, and what shows it. The table of docs/threat-model.md says the same in words. */

const signer = newSigner()
const store = new Map<string, Uint8Array>()
await fillStore(memoryObjects(store), signer)
/** The head of a day before, as an auditor keeps it. */
const head = store.get('log/checkpoint') ?? assert.fail()

/** `log check` names it; so does `verify`, which has a copy alone; it is listed as not sealed; or nothing that counts is another. */
type Shown = 'log check' | 'verify' | 'not sealed' | 'nothing counts' | 'verify with the key'

type Manipulation = {
  readonly what: string
  readonly shown: Shown
  readonly changes: (
    held: Held,
  ) => Iterable<readonly [string, Uint8Array | null]> | Promise<Iterable<readonly [string, Uint8Array | null]>>
  /** What a finding names; default the first key that was changed. */
  readonly named?: string
}

const bytes = (text: string): Buffer => Buffer.from(text)
const keysOf = (held: Held, prefix: string): string[] => [...held.keys()].filter((key) => key.startsWith(prefix)).sort()
const firstOf = (held: Held, prefix: string): string => keysOf(held, prefix)[0] ?? assert.fail(prefix)
const bodyOf = (held: Held, key: string): Uint8Array => held.get(key) ?? assert.fail(key)
const evidence = (held: Held): string[] => keysOf(held, 'evidence/2026')
const flipped = (body: Uint8Array): Buffer => {
  const changed = Buffer.from(body)
  const at = Math.floor(changed.length / 2)
  changed[at] = (changed[at] ?? 0) ^ 1
  return changed
}
const replaced = (held: Held, key: string, from: RegExp, to: string): [string, Buffer] => {
  const text = Buffer.from(bodyOf(held, key)).toString()
  const changed = text.replace(from, to)
  assert.notEqual(changed, text, `${key} has nothing to replace`)
  return [key, bytes(changed)]
}
const another = newSigner()
const heartbeat = { kind: 'heartbeat', time: '2020-01-01T00:00:00Z' } as const
const size = (held: Held): number => Number(Buffer.from(bodyOf(held, 'log/checkpoint')).toString().split('\n')[1])

const MANIPULATIONS: readonly Manipulation[] = [
  // ---- sealed: evidence, changes, reports
  {
    what: 'evidence with one bit changed',
    shown: 'verify',
    changes: (held) => [[evidence(held)[0] ?? '', flipped(bodyOf(held, evidence(held)[0] ?? ''))]],
  },
  {
    what: 'evidence cut off',
    shown: 'verify',
    changes: (held) => [[evidence(held)[0] ?? '', bodyOf(held, evidence(held)[0] ?? '').subarray(0, 20)]],
  },
  { what: 'evidence taken away', shown: 'verify', changes: (held) => [[evidence(held)[0] ?? '', null]] },
  {
    what: 'evidence of a quiet window in the place of another',
    shown: 'verify',
    changes: async (held) => [[evidence(held)[0] ?? '', await encodeSnapshot(snapshotOf('east', 0, {}, { pods: [] }))]],
  },
  {
    what: 'two pieces of evidence exchanged',
    shown: 'verify',
    changes: (held) => {
      const [a = '', b = ''] = evidence(held)
      return [
        [a, bodyOf(held, b)],
        [b, bodyOf(held, a)],
      ]
    },
  },
  {
    what: 'a further attempt at a window that has a complete one',
    shown: 'not sealed',
    changes: async (held) => [
      [
        (evidence(held)[0] ?? '').replace('0001.json', '0009.json'),
        await encodeSnapshot(snapshotOf('east', 0, {}, { pods: [] })),
      ],
    ],
  },
  {
    what: 'an attempt at a window that was a gap',
    shown: 'not sealed',
    changes: async () => [
      ['evidence/20261124T121500Z-20261124T122000Z/east/0001.json.gz', await encodeSnapshot(snapshotOf('east', 3))],
    ],
  },
  {
    what: 'evidence of a cluster that was never registered',
    shown: 'log check',
    changes: async () => [
      ['evidence/20261124T121500Z-20261124T122000Z/evil/0001.json.gz', await encodeSnapshot(snapshotOf('evil', 3))],
    ],
  },
  {
    what: 'a capture that nobody made',
    shown: 'not sealed',
    changes: () => [['evidence/packets/east/20261124T120100Z-0123456789abcdef.json', bytes('{}')]],
  },
  {
    what: 'a change of the registry rewritten',
    shown: 'verify',
    changes: (held) => [replaced(held, 'changes/clusters/000001.json', /tester/, 'nobody')],
  },
  {
    what: 'a change of the registry added',
    shown: 'not sealed',
    changes: (held) => [['changes/clusters/000009.json', bodyOf(held, 'changes/clusters/000001.json')]],
  },
  {
    what: 'a change of the registry taken away',
    shown: 'verify',
    changes: (held) => [[firstOf(held, 'changes/clusters/'), null]],
  },
  {
    what: 'a waiver added',
    shown: 'not sealed',
    changes: (held) => [['changes/waivers/000002.json', bodyOf(held, 'changes/waivers/000001.json')]],
  },
  { what: 'a waiver taken away', shown: 'verify', changes: () => [['changes/waivers/000001.json', null]] },
  {
    what: 'a scope added',
    shown: 'not sealed',
    changes: () => [['changes/scope/000001.json', bytes('{"format":"ciphertrail/change/1"}')]],
  },
  {
    what: 'a report rewritten',
    shown: 'verify',
    changes: (held) => [[firstOf(held, 'reports/'), bytes('<h1>All encrypted</h1>')]],
  },
  { what: 'a report taken away', shown: 'verify', changes: (held) => [[firstOf(held, 'reports/'), null]] },
  {
    what: 'a report added',
    shown: 'not sealed',
    changes: () => [[`reports/20261130T000000Z-${'d'.repeat(16)}.json`, bytes('<h1>All encrypted</h1>')]],
  },
  // ---- the log
  {
    what: 'a checkpoint with another root',
    shown: 'verify',
    changes: (held) => [replaced(held, 'log/checkpoint', /\n[A-Za-z0-9+/]{43}=\n/, `\n${'A'.repeat(43)}=\n`)],
  },
  {
    what: 'a checkpoint of fewer leaves',
    shown: 'verify',
    changes: (held) => [replaced(held, 'log/checkpoint', /\n\d+\n/, '\n1\n')],
  },
  {
    what: 'a checkpoint signed by another key',
    shown: 'verify with the key',
    changes: async (held) => [
      ['log/checkpoint', await signCheckpoint({ size: size(held), root: new Uint8Array(32) }, another)],
      ['log/vkey', bytes(`${another.vkey}\n`)],
    ],
    named: 'log/checkpoint',
  },
  { what: 'a checkpoint taken away', shown: 'verify', changes: () => [['log/checkpoint', null]] },
  { what: 'another key beside the log', shown: 'verify', changes: () => [['log/vkey', bytes(`${another.vkey}\n`)]] },
  {
    what: 'an entry rewritten',
    shown: 'verify',
    changes: (held) => [[`log/tile/entries/000.p/${size(held)}`, encodeBundle([formatLeaf(heartbeat)])]],
    named: 'log/tile/entries',
  },
  {
    what: 'a tile of hashes changed',
    shown: 'log check',
    changes: (held) => {
      const key = keysOf(held, 'log/tile/0/').at(-1) ?? ''
      return [[key, flipped(bodyOf(held, key))]]
    },
  },
  {
    what: 'a tile taken away',
    shown: 'log check',
    changes: (held) => [[keysOf(held, 'log/tile/0/').at(-1) ?? '', null]],
  },
  {
    what: 'a batch rewritten',
    shown: 'log check',
    changes: (held) => [[firstOf(held, 'log/batch/'), encodeBatch([leafEntry(heartbeat)])]],
  },
  { what: 'a batch taken away', shown: 'log check', changes: (held) => [[firstOf(held, 'log/batch/'), null]] },
  {
    what: 'a batch where the next one belongs',
    shown: 'log check',
    changes: (held) => [[batchKey(size(held)), encodeBatch([leafEntry(heartbeat)])]],
  },
  {
    what: 'a number of the index changed',
    shown: 'log check',
    changes: (held) => [[firstOf(held, 'log/index/evidence/'), bytes('0')]],
  },
  {
    what: 'a number of the index for what is not sealed',
    shown: 'log check',
    changes: () => [[indexKey('evidence/20261124T121500Z-20261124T122000Z/east/0001.json.gz'), bytes('1')]],
  },
  {
    what: 'a gap taken out of the index',
    shown: 'log check',
    changes: (held) => [[firstOf(held, 'log/index/gap/'), null]],
  },
  {
    what: 'something in the log that nobody makes',
    shown: 'log check',
    changes: () => [['log/note', bytes('all is well')]],
  },
  // ---- not locked: what is derived
  {
    what: 'a window result that says all was encrypted',
    shown: 'log check',
    changes: (held) => [replaced(held, firstOf(held, 'windows/east/'), /"collected":true/, '"collected":false')],
  },
  {
    what: 'a window result taken away',
    shown: 'log check',
    changes: (held) => [[firstOf(held, 'windows/east/'), null]],
  },
  {
    what: 'a window result added',
    shown: 'log check',
    changes: (held) => [
      ['windows/east/20261124T130000Z-20261124T130500Z.json', bodyOf(held, firstOf(held, 'windows/east/'))],
    ],
  },
  {
    what: 'a state rewritten',
    shown: 'log check',
    changes: (held) => [replaced(held, 'state/east.json', /"complete":true/, '"complete":false')],
  },
  { what: 'a state taken away', shown: 'log check', changes: () => [['state/east.json', null]] },
  {
    what: 'a state of another cluster',
    shown: 'log check',
    changes: (held) => [['state/east.json', bodyOf(held, 'state/west.json')]],
  },
  {
    what: 'a month rewritten',
    shown: 'log check',
    changes: (held) => {
      const key = firstOf(held, 'timeline/cluster=east/')
      return [[key, flipped(bodyOf(held, key))]]
    },
  },
  {
    what: 'a month taken away',
    shown: 'log check',
    changes: (held) => [[firstOf(held, 'timeline/cluster=east/'), null]],
  },
  {
    what: 'an archived day that nobody made',
    shown: 'log check',
    changes: () => [['state/_archive/east/2026-11-20.json', bytes('{}')]],
  },
  {
    what: 'evidence said to have ended a process',
    shown: 'log check',
    changes: (held) => [
      [
        'state/_set-aside/east.json',
        bytes(
          JSON.stringify({
            format: 'ciphertrail/set-aside/1',
            cluster: 'east',
            derivation: derivation(held),
            attempts: { [evidence(held).find((key) => key.includes('/east/')) ?? '']: { times: 2, why: 'nothing' } },
          }),
        ),
      ],
    ],
    named: 'it ended the process',
  },
  {
    what: 'windows said to have been asked again',
    shown: 'nothing counts',
    changes: () => [
      [
        'state/_asked/east.json',
        bytes(
          JSON.stringify({
            format: 'ciphertrail/asked/1',
            cluster: 'east',
            windows: ['20261124T120000Z-20261124T120500Z'],
          }),
        ),
      ],
    ],
  },
  // ---- not locked: what is replaced
  {
    what: 'the registry rewritten',
    shown: 'log check',
    changes: (held) => [replaced(held, 'registry/clusters.json', /"id":"west"/, '"id":"evil"')],
  },
  { what: 'the registry taken away', shown: 'log check', changes: () => [['registry/clusters.json', null]] },
  {
    what: 'what operators signed, rewritten',
    shown: 'nothing counts',
    changes: () => [['registry/trust.json', bytes('{}')]],
  },
  {
    what: 'the progress of sealing rewritten',
    shown: 'log check',
    changes: () => [
      [
        'sealing/progress.json',
        bytes(
          '{"format":"ciphertrail/sealing/1","sealedAt":"2030-01-01T00:00:00Z","sweptAt":"2030-01-01T00:00:00Z","check":"x"}',
        ),
      ],
    ],
  },
  {
    what: 'addresses of recipients added',
    shown: 'nothing counts',
    changes: () => [['registry/recipients.json', bytes('{}')]],
  },
  { what: 'a key of links added', shown: 'nothing counts', changes: () => [['registry/links.json', bytes('{}')]] },
  {
    what: 'a mail that was said to be sent',
    shown: 'nothing counts',
    changes: () => [[`claims/week/2026-W48/team/r${'0'.repeat(16)}.json`, bytes('{}')]],
  },
  {
    what: 'a recipient silenced',
    shown: 'nothing counts',
    changes: () => [[`suppressed/r${'0'.repeat(16)}/_all.json`, bytes('{}')]],
  },
  {
    what: 'an alert that was said to be told',
    shown: 'nothing counts',
    changes: () => [['alerts/team.json', bytes('{}')]],
  },
  {
    what: 'a link to a report',
    shown: 'nothing counts',
    changes: () => [[`downloads/${'0'.repeat(64)}.json`, bytes('{}')]],
  },
  {
    what: 'a document of a report that was never made',
    shown: 'log check',
    changes: () => [[`documents/20261124T140000Z-${'e'.repeat(16)}/report.pdf`, bytes('%PDF')]],
  },
  { what: 'an object that nobody makes', shown: 'log check', changes: () => [['notes/readme', bytes('hello')]] },
]

function derivation(held: Held): unknown {
  return (JSON.parse(Buffer.from(bodyOf(held, 'state/east.json')).toString()) as { derivation: unknown }).derivation
}

/** What counts: what the evidence comes to for whoever derives it again, and what `verify` counts. */
async function whatCounts(held: Held): Promise<unknown> {
  const objects = memoryObjects(new Map(held))
  const clusters = await readClusters({ objects })
  const histories: unknown[] = []
  for (const cluster of clusters) {
    await rebuildCluster(cluster, { objects, assess: assessWindow })
    histories.push(await readHistory(cluster.id, objects))
  }
  const { clusters: accounts, kinds } = await verifyStore({ vkey: signer.vkey }, { objects })
  return { histories, accounts, kinds }
}

const untouched = await whatCounts(store)

for (const { what, shown, changes, named } of MANIPULATIONS)
  test(`${what}: ${shown}`, async () => {
    const changed = new Map(await changes(store))
    const key = named ?? [...changed.keys()][0] ?? ''
    const held = damaged(store, changed)
    const objects = memoryObjects(held)
    const input = { vkey: signer.vkey }
    const verified = await verifyStore({ ...input, since: head }, { objects })
    const { findings, unsealed } = await checkStore(input, { objects, assess: assessWindow })
    const lines = (found: typeof findings) => found.kept.map((finding) => `${finding.key ?? ''}: ${finding.problem}`)
    const isNamed = (found: typeof findings) => lines(found).some((line) => line.includes(key))
    const told = `verify: ${lines(verified.findings).join('; ')}\nlog check: ${lines(findings).join('; ')}\nnot sealed: ${lines(unsealed).join('; ')}`
    if (shown === 'log check') assert.ok(isNamed(findings), told)
    else if (shown === 'not sealed') assert.ok(isNamed(unsealed) || isNamed(findings), told)
    else if (shown === 'nothing counts') assert.deepEqual(await whatCounts(held), untouched)
    else {
      assert.ok(isNamed(verified.findings), told)
      assert.ok(findings.total > 0, told)
    }
  })

test('all of it put back to an earlier state: verify with a checkpoint that was kept', async () => {
  const later = new Map(store)
  const { size: grown } = await seal({ now: minutesIn(100) }, { objects: memoryObjects(later), signer })
  const kept = later.get('log/checkpoint') ?? assert.fail()
  assert.ok(grown > size(store))
  const { findings, since } = await verifyStore(
    { vkey: signer.vkey, since: kept },
    { objects: memoryObjects(new Map(store)) },
  )
  assert.equal(since?.isContinued, false)
  assert.ok(findings.total > 0)
})

test('what is listed as not sealed is counted, and the auditor sees it, too', async () => {
  const held = new Map(store)
  held.set('changes/scope/000001.json', bytes('{}'))
  const { unsealed } = await verifyStore({ vkey: signer.vkey }, { objects: memoryObjects(held) })
  assert.deepEqual(unsealed, { keys: ['changes/scope/000001.json'], total: 1 })
})
