/** Everything that reads what somebody else wrote, with real bytes to begin with, and the errors that it may end with. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { DEMO_FIXTURE } from '../../demo/fixture.ts'
import { readScopes } from '../../lib/assess/judge/parse-scope.ts'
import { parseWaivers } from '../../lib/assess/judge/parse-waivers.ts'
import { type AssessInput, assessWindow } from '../../lib/assess/window/window.ts'
import { readFeedback } from '../../lib/deliver/send/parse-feedback.ts'
import { AnswerError, parseAnswer } from '../../lib/observed/answers.ts'
import { ReduceError, reduceItems } from '../../lib/observed/reduce-objects.ts'
import { PageError, parsePage, reducePage } from '../../lib/observed/metrics-page.ts'
import { packetNumber, parsePacketRow } from '../../lib/observed/packet-rows.ts'
import { decodeTapError, decodeTapEvent, tapFrames, TapFormatError } from '../../lib/observed/tap-events.ts'
import { parseVizEdges, VizEdgesError } from '../../lib/observed/viz-edges.ts'
import { parseTokens, TokenFileError } from '../../lib/query/access/access.ts'
import { formatLeaf, LeafError, parseLeaf } from '../../lib/seal/leaf.ts'
import { parseCheckpoint } from '../../lib/seal/tlog/checkpoint.ts'
import { NoteError, parseNote, parseVkey } from '../../lib/seal/tlog/note.ts'
import { BundleError, decodeBundle, encodeBundle, parseTilePath } from '../../lib/seal/tlog/tiles.ts'
import { BatchError, decodeBatch, encodeBatch, leafEntry } from '../../lib/seal/write/batch.ts'
import { decodeSnapshot, EvidenceError, encodeSnapshot } from '../../lib/store/evidence/evidence.ts'
import { evidenceKey, parseEvidenceKey } from '../../lib/store/keys.ts'
import { batchKey } from '../../lib/store/log-keys.ts'
import { encodeDerived } from '../../lib/store/objects/derived-object.ts'
import { isKey } from '../../lib/store/objects/objects.ts'
import { parseJson } from '../../lib/text/parse-json.ts'
import { recordedEvidence } from '../support/mesh/recorded-evidence.ts'
import { newSigner } from '../support/stored/memory-log.ts'

/** One reader. */
export type Target = {
  readonly name: string
  readonly begin: readonly Uint8Array[]
  readonly read: (bytes: Buffer) => unknown
  /** Anything else that it throws is a fault. */
  readonly mayThrow: readonly (abstract new (...parts: never[]) => Error)[]
  /** Share of all bytes; default 1. */
  readonly weight?: number
}

const TEST = join(import.meta.dirname, '..')
const DEMO = join(TEST, 'recordings/demo')
const some = (folder: string, isWanted: RegExp, most = 3): Buffer[] =>
  readdirSync(folder)
    .filter((name) => isWanted.test(name))
    .toSorted()
    .slice(0, most)
    .map((name) => readFileSync(join(folder, name)))
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
const parsed = (bytes: Buffer): unknown => parseJson(bytes.toString())

/** Every reader. */
export async function targets(): Promise<readonly Target[]> {
  const recorded = (await recordedEvidence(DEMO_FIXTURE))[2]
  if (recorded === undefined) throw new Error('the recording has no third window')
  const { snapshot } = recorded
  const key = evidenceKey({ window: snapshot.window, cluster: snapshot.cluster, attempt: 1 })
  const packed = await encodeSnapshot(snapshot)
  const whole = gunzipSync(packed)
  const longest = snapshot.metrics.answers.toSorted((a, b) => b.body.length - a.body.length).slice(0, 6)
  const lists = snapshot.kubernetes.lists.filter(({ items }) => items.length > 0)
  const leaves = [
    { kind: 'heartbeat', time: '2026-11-24T12:00:00Z' },
    {
      kind: 'gap',
      cluster: 'shop',
      window: { start: '2026-11-24T12:00:00Z', end: '2026-11-24T13:00:00Z' },
      reason: 'no-attempt',
    },
    { kind: 'report', key: 'reports/20261124T140000Z-0123456789abcdef.json', sha256: 'a'.repeat(64), size: 5 },
  ] as const
  const signer = newSigner()
  const note = Buffer.from(
    `example.com/log\n5\n${Buffer.alloc(32).toString('base64')}\n\n— example.com/log ${Buffer.alloc(68, 1).toString('base64')}\n`,
  )
  const page = metricsPage()
  return [
    {
      name: 'answers of Prometheus',
      begin: longest.map(({ body }) => Buffer.from(body)),
      read: (bytes) => parseAnswer(bytes.toString()),
      mayThrow: [AnswerError],
      weight: 3,
    },
    {
      name: 'pages of proxies',
      begin: [page],
      read: (bytes) => parsePage(reducePage(bytes.toString())),
      mayThrow: [PageError],
    },
    {
      name: 'lists of Kubernetes',
      begin: lists.map(({ resource, items }) => json({ resource, items })),
      read: readList,
      mayThrow: [ReduceError],
      weight: 2,
    },
    {
      name: 'edges of viz',
      begin: some(join(TEST, 'fixtures/viz'), /\.json$/),
      read: (bytes) => parseVizEdges(bytes.toString()),
      mayThrow: [VizEdgesError],
    },
    { name: 'events of tap', begin: some(join(DEMO, 'tap'), /raw\.bin$/), read: readTap, mayThrow: [TapFormatError] },
    {
      name: 'rows of tshark',
      begin: some(join(TEST, 'fixtures/packets'), /\.gz$/, 4).flatMap((one) =>
        gunzipSync(one)
          .toString()
          .split('\n')
          .slice(0, 20)
          .map((line) => Buffer.from(line)),
      ),
      read: (bytes) => [parsePacketRow(bytes, 0), packetNumber(bytes)],
      mayThrow: [],
    },
    {
      name: 'packed evidence',
      begin: [packed],
      read: (bytes) => decodeSnapshot(key, bytes),
      mayThrow: [EvidenceError],
      weight: 2,
    },
    {
      name: 'evidence and what it comes to',
      begin: [whole],
      read: (bytes) => assess(key, bytes, recorded),
      mayThrow: [EvidenceError],
      weight: 30,
    },
    { name: 'leaves', begin: leaves.map((leaf) => formatLeaf(leaf)), read: parseLeaf, mayThrow: [LeafError] },
    {
      name: 'batches',
      begin: [encodeBatch(leaves.map((leaf) => leafEntry(leaf)))],
      read: (bytes) => decodeBatch(batchKey(0), bytes),
      mayThrow: [BatchError],
    },
    {
      name: 'bundles',
      begin: [encodeBundle(leaves.map((leaf) => formatLeaf(leaf)))],
      read: decodeBundle,
      mayThrow: [BundleError],
    },
    { name: 'notes', begin: [note], read: (bytes) => parseCheckpoint(parseNote(bytes).text), mayThrow: [NoteError] },
    {
      name: 'keys',
      begin: [Buffer.from(signer.vkey), Buffer.from(key), Buffer.from('tile/0/x001/234.p/8')],
      read: readKeys,
      mayThrow: [NoteError],
    },
    {
      name: 'scopes and waivers',
      begin: [Buffer.from(SCOPE), Buffer.from(WAIVERS)],
      read: (bytes) => [readScopes(bytes.toString()), parseWaivers(bytes.toString())],
      mayThrow: [],
    },
    { name: 'notifications of SES', begin: [json(BOUNCE)], read: (bytes) => readFeedback(parsed(bytes)), mayThrow: [] },
    {
      name: 'tokens',
      begin: [Buffer.from(`${'a'.repeat(40)} shop bank\n# note\n${'b'.repeat(40)}\n`)],
      read: (bytes) => parseTokens(bytes.toString()),
      mayThrow: [TokenFileError],
    },
  ]
}

const SCOPE = 'frameworks:\n  soc2:\n    clusters: [shop]\n    namespaces: ["emoji*"]\n'
const WAIVERS =
  'waivers:\n  - id: web\n    owner: team\n    reason: old\n    control: network policy\n    expires: 2026-12-31\n    paths:\n      - source: a\n        destination: b\n'
const BOUNCE = {
  notificationType: 'Bounce',
  bounce: {
    bounceType: 'Permanent',
    timestamp: '2026-11-24T12:00:00.000Z',
    bouncedRecipients: [{ emailAddress: 'a@example.com' }],
  },
  mail: {
    messageId: 'x',
    timestamp: '2026-11-24T12:00:00.000Z',
    tags: { recipient: ['r0123456789abcdef'], channel: ['team'] },
  },
}

function metricsPage(): Buffer {
  const folder = join(DEMO, 'metrics')
  const first = readdirSync(folder).toSorted()[0] ?? ''
  const file = readdirSync(join(folder, first)).toSorted()[0] ?? ''
  const bytes = readFileSync(join(folder, first, file))
  return file.endsWith('.gz') ? gunzipSync(bytes) : bytes
}

function readList(bytes: Buffer): unknown {
  const list = parsed(bytes) as { resource?: unknown; items?: unknown } | undefined
  if (list?.resource !== 'pods' && list?.resource !== 'services' && list?.resource !== 'events') return undefined
  return Array.isArray(list.items) ? reduceItems(list.resource, list.items, 'it') : undefined
}

async function readTap(bytes: Buffer): Promise<void> {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    await Promise.resolve()
    yield bytes
  }
  for await (const frame of tapFrames(chunks())) {
    decodeTapEvent(frame, { withPaths: true })
    decodeTapError(frame)
  }
}

/** Neither throws nor makes what cannot be kept. */
async function assess(key: string, bytes: Buffer, { before, after }: AssessInput): Promise<void> {
  const snapshot = await decodeSnapshot(key, gzipSync(bytes, { level: 1 }))
  const result = assessWindow({ key, snapshot, before, after })
  encodeDerived(result)
}

function readKeys(bytes: Buffer): unknown {
  const text = bytes.toString()
  return [isKey(text), parseEvidenceKey(text), parseTilePath(text), parseVkey(text)]
}
