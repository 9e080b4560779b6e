import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { z } from 'zod'
import type { Window } from '../../../lib/model/time.ts'
import { parseTruth } from './truth.ts'
import type { EdgesRow, Truth, TruthPath } from './truth.ts'

/** A recording of a real mesh with its truth: a folder as the README in it describes. */
export type Recording = {
  readonly folder: string
  readonly truth: Truth
  /** The full five-minute windows on the clock that the recording touches, oldest first. */
  readonly windows: readonly Window[]
  /** When the Kubernetes lists were taken, oldest first, and where they lie. */
  readonly lists: readonly { readonly at: string; readonly folder: string }[]
  /** The Prometheus data directory, packed. */
  readonly tsdb: string
}

const WINDOW_MS = 5 * 60 * 1000

/** The folder of a recording that may not be there: `demo` lies in this repository, `public` where CIPHERTRAIL_RECORDINGS says, `lives` beside that. */
export function findRecording(name: 'demo' | 'public' | 'lives'): string | undefined {
  const other = process.env['CIPHERTRAIL_RECORDINGS']
  const folder =
    name === 'demo'
      ? join(import.meta.dirname, '../../recordings/demo')
      : other === undefined || name === 'public'
        ? other
        : join(dirname(other), name)
  return folder !== undefined && existsSync(join(folder, 'truth.json')) ? folder : undefined
}

/** Reads the truth of a recording or of a fixture, `truth.json` or `truth.json.gz`, of the windows that were collected only. */
export function readTruth(folder: string, windows?: readonly Window[]): Truth {
  const plain = join(folder, 'truth.json')
  const bytes = existsSync(plain) ? readFileSync(plain) : gunzipSync(readFileSync(`${plain}.gz`))
  const truth = parseTruth(bytes.toString())
  if (windows === undefined) return truth
  const ends = new Set(windows.map(({ end }) => end))
  const within = (path: TruthPath): TruthPath => ({
    ...path,
    windows: path.windows.filter(({ end }) => ends.has(end)),
  })
  return { ...truth, paths: truth.paths.map(within) }
}

/** Reads what a recording says of itself. Throws where a file is absent or has another shape. */
export function openRecording(folder: string): Recording {
  const truth = readTruth(folder)
  const first = Math.floor(Date.parse(truth.start) / WINDOW_MS)
  const last = Math.ceil(Date.parse(truth.end) / WINDOW_MS)
  const at = (index: number): string => toText(index * WINDOW_MS)
  return {
    folder,
    truth,
    windows: Array.from({ length: last - first }, (_, index) => ({
      start: at(first + index),
      end: at(first + index + 1),
    })),
    lists: readdirSync(join(folder, 'k8s'))
      .toSorted()
      .map((stamp) => ({ at: fromStamp(stamp), folder: join(folder, 'k8s', stamp) })),
    tsdb: join(folder, 'tsdb.tar.zst'),
  }
}

const edgesJson = z.array(
  z.object({
    src: z.string(),
    src_namespace: z.string(),
    dst: z.string(),
    dst_namespace: z.string(),
    no_tls_reason: z.string(),
  }),
)

/**
 * What `linkerd viz edges` said during a recording: the listings of workload kinds, or those and the listings of pods with
 * each pod put down to its workload.
 */
export function readEdges(
  { folder, lists }: Pick<Recording, 'folder' | 'lists'>,
  rows: 'workloads' | 'workloads and pods',
): EdgesRow[] {
  const owners = rows === 'workloads' ? new Map<string, string>() : ownersOf(lists.map((list) => list.folder))
  return readListings(folder)
    .filter(({ kind }) => kind !== 'pod' || rows === 'workloads and pods')
    .flatMap(({ at, edges }) =>
      edges.map((edge) => {
        const end = (namespace: string, name: string): string =>
          owners.get(`${namespace}/${name}`) ?? `${namespace}/${name}`
        return {
          at,
          source: end(edge.src_namespace, edge.src),
          destination: end(edge.dst_namespace, edge.dst),
          secured: edge.no_tls_reason === '',
        }
      }),
    )
}

/** One answer of `linkerd viz edges KIND -A -o json`. */
export type EdgesListing = { readonly at: string; readonly kind: string; readonly edges: z.infer<typeof edgesJson> }

/** What `linkerd viz edges` said during a recording, listing by listing, oldest first. */
export function readListings(folder: string): EdgesListing[] {
  const lines = join(folder, 'edges.ndjson.gz')
  if (existsSync(lines))
    return gunzipSync(readFileSync(lines))
      .toString()
      .trim()
      .split('\n')
      .map((line) => z.object({ time: z.string(), kind: z.string(), edges: edgesJson }).parse(JSON.parse(line)))
      .map(({ time, kind, edges }) => ({ at: fromStamp(time), kind, edges }))
  return readdirSync(join(folder, 'edges')).flatMap((file) => {
    const [, stamp, kind] = /^(\w+)-(\w+)\.json$/.exec(file) ?? []
    if (stamp === undefined || kind === undefined) return []
    const edges = edgesJson.parse(JSON.parse(readFileSync(join(folder, 'edges', file), 'utf8')))
    return [{ at: fromStamp(stamp), kind, edges }]
  })
}

const listJson = z.object({
  items: z.array(
    z.object({
      metadata: z.object({
        name: z.string(),
        namespace: z.string(),
        ownerReferences: z
          .array(z.object({ kind: z.string(), name: z.string(), controller: z.boolean().optional() }))
          .optional(),
      }),
    }),
  ),
})

/** Pods, ReplicaSets and Jobs to the topmost workload that owns them, as `namespace/name`. */
function ownersOf(folders: readonly string[]): Map<string, string> {
  const owners = new Map<string, string>()
  for (const folder of folders)
    for (const resource of ['pods', 'replicasets', 'jobs'])
      for (const { metadata } of readList(folder, resource).items) {
        const owner = metadata.ownerReferences?.find(({ controller }) => controller === true)
        if (owner !== undefined)
          owners.set(`${metadata.namespace}/${metadata.name}`, `${metadata.namespace}/${owner.name}`)
      }
  const topmost = (name: string): string => {
    const owner = owners.get(name)
    return owner === undefined ? name : topmost(owner)
  }
  return new Map([...owners.keys()].map((name) => [name, topmost(name)]))
}

function readList(folder: string, resource: string): z.infer<typeof listJson> {
  const plain = join(folder, `${resource}.json`)
  const text = existsSync(plain) ? readFileSync(plain) : gunzipSync(readFileSync(`${plain}.gz`))
  return listJson.parse(JSON.parse(text.toString()))
}

/** `20261124T121000Z` as RFC 3339. */
function fromStamp(stamp: string): string {
  return stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z')
}

function toText(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace('.000Z', 'Z')
}
