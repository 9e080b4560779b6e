/** Evidence as it is stored: the attempts at a window, the bytes of one, and the proof that it is in the log. */
import { readStoredHead, NoHeadError } from '../../seal/verify/signed-head.ts'
import { ProveError, proveLeaf } from '../../seal/verify/prove.ts'
import { NoteError } from '../../seal/tlog/note.ts'
import { listAttempts } from '../../store/evidence/evidence.ts'
import { type EvidenceId, evidenceKey, isClusterId, parseEvidenceKey, parseWindow } from '../../store/keys.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { readClusters } from '../../store/registry/registry.ts'
import { type Grant, maySee } from '../access/access.ts'
import type { ApiAnswer } from '../answer.ts'
import { ProblemError } from '../problem.ts'

/** An attempt at a window, as it is stored. */
type AttemptItem = {
  readonly attempt: number
  /** Of the object in the store, as rows of `/v1/paths` name it. */
  readonly key: string
  readonly sha256: string
  /** In bytes. */
  readonly size: number
  /** Where its bytes are. */
  readonly href: string
  /** Where the proof is that the log holds it; 404 until it is sealed. */
  readonly proof: string
}

/** The attempts at one window of one cluster, the first one first. */
export type EvidenceAnswer = {
  readonly cluster: string
  /** As `ClusterAnswer` has it; null also where the cluster is not registered any more. */
  readonly replay: string | null
  readonly window: { readonly start: string; readonly end: string }
  readonly attempts: readonly AttemptItem[]
}

/** What stands at the free places of the path. */
type EvidenceNames = { readonly window: string; readonly cluster: string; readonly file?: string | undefined }

/** Media type of an attempt: it is never compressed again, since its hash is of these bytes. */
export const EVIDENCE_TYPE = 'application/gzip'

/** Media type of a proof: text, as C2SP's tlog-proof has it. */
export const PROOF_TYPE = 'text/plain'

/** Answers which attempts there are at a window. Throws a `ProblemError` where there is none that may be seen. */
export async function answerEvidence(names: EvidenceNames, grant: Grant, objects: Objects): Promise<EvidenceAnswer> {
  const ids = await attemptsOf(names, grant, objects)
  const [first] = ids
  if (first === undefined) throw notFound()
  const attempts: AttemptItem[] = []
  for (const id of ids) {
    const key = evidenceKey(id)
    const digest = await objects.digest(key)
    if (digest === undefined) continue
    const { sha256, size } = digest
    attempts.push({ attempt: id.attempt, key, sha256, size, href: `/v1/${key}`, proof: `/v1/${key}/proof` })
  }
  const { replay = null } = (await readClusters({ objects })).find(({ id }) => id === first.cluster) ?? {}
  return { cluster: first.cluster, replay, window: first.window, attempts }
}

/** Answers the bytes of an attempt. Throws a `ProblemError` where there is none that may be seen. */
export async function answerAttempt(names: EvidenceNames, grant: Grant, objects: Objects): Promise<ApiAnswer> {
  const key = evidenceKey(attemptOf(names, grant))
  const stored = await objects.get(key)
  if (stored === undefined) throw notFound()
  return {
    type: EVIDENCE_TYPE,
    body: new Uint8Array(stored.body),
    stored: { key, version: stored.version },
    headers: { 'content-disposition': `attachment; filename="${key.replaceAll('/', '-')}"` },
  }
}

/**
 * Answers the proof (C2SP tlog-proof) that the log holds an attempt: of the last one where none is named. Throws a `ProblemError` where there is none that may be
 * seen, and where no checkpoint covers it.
 */
export async function answerProof(names: EvidenceNames, grant: Grant, objects: Objects): Promise<ApiAnswer> {
  const id = names.file === undefined ? (await attemptsOf(names, grant, objects)).at(-1) : attemptOf(names, grant)
  if (id === undefined) throw notFound()
  const key = evidenceKey(id)
  try {
    const proof = await proveLeaf(key, await readStoredHead(undefined, objects), objects)
    return {
      type: `${PROOF_TYPE}; charset=utf-8`,
      body: new Uint8Array(proof),
      headers: { 'content-disposition': `attachment; filename="${key.replaceAll('/', '-')}.tlog-proof"` },
    }
  } catch (error) {
    if (error instanceof ProveError || error instanceof NoHeadError) throw new ProblemError('not-found', error.message)
    if (error instanceof NoteError)
      throw new ProblemError('unreadable', `Cannot prove the evidence: the head of the log proves nothing`)
    throw error
  }
}

async function attemptsOf(
  { window: text, cluster }: EvidenceNames,
  grant: Grant,
  objects: Objects,
): Promise<EvidenceId[]> {
  const window = parseWindow(text)
  return window === undefined || !maySee(grant, cluster) || !isClusterId(cluster)
    ? []
    : listAttempts(window, cluster, { objects })
}

function attemptOf({ window, cluster, file = '' }: EvidenceNames, grant: Grant): EvidenceId {
  const id = parseEvidenceKey(`evidence/${window}/${cluster}/${file}`)
  if (id === undefined || !maySee(grant, id.cluster)) throw notFound()
  return id
}

function notFound(): ProblemError {
  return new ProblemError(
    'not-found',
    'Cannot find this evidence: there is none of that window and cluster that may be seen here',
  )
}
