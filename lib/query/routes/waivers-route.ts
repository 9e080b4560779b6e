import { type WaiverStatus, waiverStatus } from '../../assess/judge/waived.ts'
import type { Waiver } from '../../model/judgement.ts'
import type { Objects } from '../../store/objects/objects.ts'
import { declaredWaivers } from '../../store/registry/declarations.ts'
import { readClusters } from '../../store/registry/registry.ts'
import { matchesPattern } from '../../text/pattern.ts'
import { type Grant, maySee } from '../access/access.ts'
import { type Page, checkCursor, pageOf } from '../page.ts'
import type { PageParameters } from '../parameters.ts'

/** A page of the waivers in the register, and which change put them there; null where nobody ever declared any. */
export type WaiversAnswer = Page<WaiverStatus> & {
  readonly change: { readonly number: number; readonly at: string; readonly by: string } | null
}

/** Answers the waivers in the register as they stand at a time, those that are about a cluster that may be seen. */
export async function answerWaivers(
  { at, limit, cursor }: PageParameters & { readonly at: string },
  grant: Grant,
  objects: Objects,
): Promise<WaiversAnswer> {
  const question = ['waivers', grant.clusters, at]
  checkCursor({ cursor, question })
  const { declared, change } = await declaredWaivers(objects)
  const seen = (await readClusters({ objects })).filter(({ id }) => maySee(grant, id))
  const about = declared.filter(isWaiverFor(grant, seen))
  const page = pageOf(about, { limit, cursor, question, until: at }, ({ id, ...waiver }) => [id, waiver])
  return { ...page, items: page.items.map((waiver) => waiverStatus(waiver, at)), change }
}

/** Whether a waiver may be told to whom something is granted: it is about a cluster that they may see, or about every one. */
export function isWaiverFor(
  grant: Grant,
  seen: readonly { readonly id: string }[],
): (waiver: Pick<Waiver, 'cluster'>) => boolean {
  return ({ cluster }) =>
    grant.clusters === 'all' || cluster === undefined || seen.some(({ id }) => matchesPattern(cluster, id))
}
