import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { fromStamp } from './fixture.ts'
import { listenOnLoopback } from './loopback.ts'
import type { ReplayServer } from './replay-kubernetes.ts'
import type { ReplayAnswer } from './replay-answer.ts'

type Column = 'src' | 'src_namespace' | 'dst' | 'dst_namespace' | 'no_tls_reason'

/** One answer of `linkerd viz edges KIND -A -o json`, and when it was given (`20261124T130122Z`). */
export type Listing = {
  readonly time: string
  readonly kind: string
  readonly edges: readonly Readonly<Record<Column, string>>[]
}

/** The listings of workloads in a recording, in order of time: lines of one file, or one file each. */
export function readListings(recording: string): Listing[] {
  const packed = join(recording, 'edges.ndjson.gz')
  const listings = existsSync(packed) ? unpackListings(packed) : listingFiles(join(recording, 'edges'))
  return listings.filter(({ kind }) => kind !== 'pod')
}

function unpackListings(file: string): Listing[] {
  const lines = gunzipSync(readFileSync(file)).toString().trim().split('\n')
  return lines.map((line) => JSON.parse(line) as Listing)
}

function listingFiles(folder: string): Listing[] {
  return readdirSync(folder)
    .toSorted()
    .flatMap((name) => {
      const [, time, kind] = /^(\w+)-(\w+)\.json$/.exec(name) ?? []
      if (time === undefined || kind === undefined) return []
      return [{ time, kind, edges: JSON.parse(readFileSync(join(folder, name), 'utf8')) as Listing['edges'] }]
    })
}

/** Writes listings without the identities, which viz does not take from the wire. The same listings give the same bytes. */
export function writeListings(file: string, listings: readonly Listing[]): void {
  const lines = listings.map(({ time, kind, edges }) =>
    JSON.stringify({
      time,
      kind,
      edges: edges.map(({ src, src_namespace, dst, dst_namespace, no_tls_reason }) => ({
        src,
        src_namespace,
        dst,
        dst_namespace,
        no_tls_reason,
      })),
    }),
  )
  writeFileSync(file, gzipSync(`${lines.join('\n')}\n`, { level: 9 }))
}

/** Answers of viz's dashboard at a time, to a path and the header `Host`. */
export type VizReplay = (url: string, host: string, time: Date) => ReplayAnswer

/** As linkerd2 `web/srv/server.go` has it, against DNS rebinding. */
const ALLOWED_HOST = /^(localhost|127\.0\.0\.1|web\.linkerd-viz\.svc(\.cluster\.local)?|\[::1\])(:\d+)?$/

/** Plays the dashboard: `/api/edges` answers with the newest listing of the asked kind that is not after the time. */
function vizReplay(fixture: string): VizReplay {
  const listings = unpackListings(join(fixture, 'edges.ndjson.gz')).map((listing) => ({
    ...listing,
    at: Date.parse(fromStamp(listing.time)),
  }))
  return (url, host, time) => {
    if (!ALLOWED_HOST.test(host)) return { status: 400, body: '"It appears that you are trying to reach this service"' }
    const { pathname, searchParams } = new URL(url, 'http://replay.invalid')
    if (pathname !== '/api/edges') return { status: 404, body: '{"error":"no such path"}' }
    const kind = searchParams.get('resource_type') ?? ''
    const listing = listings.findLast((one) => one.kind === kind && one.at <= time.getTime())
    const end = (namespace: string, name: string) => ({ namespace, type: kind, name })
    const edges = (listing?.edges ?? []).map((edge) => ({
      src: end(edge.src_namespace, edge.src),
      dst: end(edge.dst_namespace, edge.dst),
      clientId: '',
      serverId: '',
      noIdentityMsg: edge.no_tls_reason,
    }))
    return { status: 200, body: JSON.stringify({ ok: { edges } }) }
  }
}

/** Starts an HTTP server on loopback that plays the dashboard of a fixture. */
export async function startVizReplay(fixture: string, start: string): Promise<ReplayServer> {
  const replay = vizReplay(fixture)
  let time = new Date(start)
  const server = createServer(({ url = '/', headers: { host = '' } }, response) => {
    const { status, body } = replay(url, host, time)
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
    response.end(body)
  })
  const { port, close } = await listenOnLoopback(server)
  return {
    url: `http://127.0.0.1:${port}`,
    setTime: (next) => {
      time = new Date(next)
    },
    close,
  }
}
