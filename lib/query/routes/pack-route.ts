/** The audit pack of a report: who asks for it once gets it made by a job, and downloads it then. */
import {
  isSealedReport,
  type KeptPack,
  mayAsk,
  openKeptPack,
  type PackState,
  readPackState,
  recordAsked,
} from '../../pack/pack-state.ts'
import { byteWords } from '../../report/words/vocabulary.ts'
import type { LargeObject } from '../../store/objects/large.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { packKey } from '../../store/report-keys.ts'
import type { Grant } from '../access/access.ts'
import { SECURITY_HEADERS } from '../answer.ts'
import { type HandOverDeps, storeAddress } from '../large.ts'
import { ProblemError } from '../problem.ts'
import { grantedReport, mayHavePack } from './reports-route.ts'

/** Lets a job make the pack of a report, by the key of its record. Safe to call again. */
export type QueuePack = (report: string) => Promise<void>

/** What packs are answered with. */
export type PackRouteDeps = HandOverDeps & {
  readonly now: () => Date
  /** Absent where nothing makes packs: those that are kept are handed over all the same. */
  readonly queuePack?: QueuePack | undefined
}

/** Somebody who waits may look again after so many seconds. */
export const LOOK_AGAIN_SECONDS = 30

/** Where the pack of a report is asked for and given, as Hono's router has it. */
export const PACK_PATH = '/v1/reports/:id/pack'

const TYPE = 'application/zip'

/** How it stands with the pack of a report that may be seen, and what its key is. Throws a `ProblemError` where there is none, or for whoever may have no packs. */
export async function grantedPack(
  id: string,
  grant: Grant,
  objects: Objects,
): Promise<{ readonly key: string; readonly state: PackState; readonly gone?: string }> {
  const { key } = await grantedReport(id, grant, objects)
  if (!mayHavePack(grant))
    throw new ProblemError(
      'not-allowed',
      'Cannot give the pack of this report: a pack holds the log and the registrations of the whole store, wanted a token that opens every cluster',
    )
  const state = await readPackState(key, objects)
  // Whoever removed it may have it made again.
  const isGone = state.status === 'made' && (await openKeptPack(key, state.version, objects)) === undefined
  return isGone ? { key, state: { status: 'none' }, gone: state.at } : { key, state }
}

/**
 * Asks for the pack of a report, and gives how it stands with it then: one that is made, or that somebody waits for, is not asked for again. Throws a
 * `ProblemError` where nothing makes packs here, or the report is not sealed yet.
 */
export async function askForPack(
  { id, grant }: { readonly id: string; readonly grant: Grant },
  { objects, now, queuePack }: PackRouteDeps,
): Promise<PackState> {
  const { key, state, gone } = await grantedPack(id, grant, objects)
  if (!mayAsk(state, now())) return state
  if (queuePack === undefined)
    throw new ProblemError('not-ready', `Cannot make a pack: this server only shows what is stored, ${byCommand(id)}`)
  if (!(await isSealedReport(key, objects)))
    throw new ProblemError(
      'not-ready',
      'Cannot make the pack yet: its report is not sealed, ask again after the next run of "seal", which is within the hour',
    )
  // In this order: what dies in between makes the pack all the same, and nobody waits for one that nobody makes. Of a time before any outcome.
  const at = now()
  await queuePack(key)
  await recordAsked(key, at, objects, gone)
  return readPackState(key, objects)
}

/** Gives the pack of a report: from here, or where one answer may have only so many bytes by 303 to the store. Throws a `ProblemError` that says what to do where there is none. */
export async function answerPack(
  request: Request,
  { id, grant }: { readonly id: string; readonly grant: Grant },
  deps: PackRouteDeps,
): Promise<Response> {
  const { key, state } = await grantedPack(id, grant, deps.objects)
  if (state.status !== 'made') throw absentPack(id, state, deps.queuePack !== undefined)
  const found = await openKeptPack(key, state.version, deps.objects)
  if (found === undefined) throw absentPack(id, { status: 'none' }, deps.queuePack !== undefined)
  const etag = `"${state.sha256}"`
  const headers = { ...SECURITY_HEADERS, 'cache-control': 'private, no-cache', vary: 'Authorization', etag }
  if (isKnown(request.headers.get('if-none-match'), etag)) return new Response(null, { status: 304, headers })
  const disposition = `attachment; filename="ciphertrail-${id}-pack.zip"`
  const method = request.method === 'HEAD' ? 'HEAD' : 'GET'
  if (deps.largestBody !== undefined) {
    const location = await addressOf(key, state, { method, disposition }, deps)
    return new Response(null, { status: 303, headers: { ...headers, 'cache-control': 'no-store', location } })
  }
  return new Response(method === 'HEAD' ? null : streamOf(found), {
    headers: {
      ...headers,
      'content-type': TYPE,
      'content-length': String(found.size),
      'content-disposition': disposition,
    },
  })
}

/** What to run where nothing makes packs by itself. */
function byCommand(id: string): string {
  return `run "ciphertrail pack --report ${id} --out pack.zip"`
}

async function addressOf(
  report: string,
  { size, version }: KeptPack,
  how: { readonly method: 'GET' | 'HEAD'; readonly disposition: string },
  deps: HandOverDeps,
): Promise<string> {
  const location = await storeAddress({ key: packKey(report, 'pack.zip'), version }, { ...how, type: TYPE }, deps)
  if (location !== null) return location
  throw new ProblemError(
    'unreadable',
    `Cannot hand over this pack: it has ${byteWords(size)}; read it from the bucket, or switch its versions on`,
  )
}

function absentPack(id: string, state: Exclude<PackState, { status: 'made' }>, isMadeHere: boolean): ProblemError {
  switch (state.status) {
    case 'none':
      return new ProblemError(
        'not-found',
        `Cannot give the pack of this report: there is none now, ${isMadeHere ? `POST to /v1/reports/${id}/pack makes it` : byCommand(id)}`,
      )
    case 'asked':
      return new ProblemError(
        'not-ready',
        `Cannot give the pack yet: it was asked for at ${state.at} and is being made, look again in ${LOOK_AGAIN_SECONDS} seconds; one of 2 GB takes some minutes`,
      )
    case 'failed':
      return new ProblemError('not-ready', state.problem)
  }
}

function streamOf({ read }: LargeObject): ReadableStream<Uint8Array> {
  return ReadableStream.from(read()) as ReadableStream<Uint8Array>
}

function isKnown(header: string | null, etag: string): boolean {
  return (header ?? '').split(',').some((one) => ['*', etag].includes(one.trim().replace(/^W\//, '')))
}
