import * as z from 'zod'
import type { KubernetesList } from '../model/snapshot.ts'
import { oneLine } from '../text/redact.ts'
import { type Item, RESOURCE_SCHEMAS, type Resource } from './kubernetes-fields.ts'

/* Reduces Kubernetes objects to the fields in kubernetes-fields.ts. Reducing twice changes nothing, so the same schemas read stored lists back. */

/** An object that does not match its resource's schema. */
export class ReduceError extends Error {
  override readonly name = 'ReduceError'
}

/**
 * Reduces the objects of one list, in their order.
 *
 * @param where the list, for messages: `pods of cluster "prod"`
 * @param before number of items on earlier pages of the list
 * @throws ReduceError that names the first object that does not fit and why; nothing is dropped silently
 */
export function reduceItems<R extends Resource>(
  resource: R,
  items: readonly unknown[],
  where: string,
  before = 0,
): Item<R>[] {
  const schema: z.ZodType = RESOURCE_SCHEMAS[resource]
  return items.map((item, index) => {
    const parsed = schema.safeParse(item)
    if (parsed.success) return parsed.data as Item<R>
    const [issue] = parsed.error.issues
    const path = issue === undefined || issue.path.length === 0 ? '' : `${oneLine(issue.path.join('.'))}: `
    throw new ReduceError(
      `Cannot read ${where}: item ${before + index + 1}${nameOf(item)} does not fit, ${path}${oneLine(issue?.message ?? '')}`,
    )
  })
}

/** Returns the objects of a resource in stored lists: empty if the cluster does not serve the resource, undefined if it was not read. Throws ReduceError. */
export function itemsOf<R extends Resource>(lists: readonly KubernetesList[], resource: R): Item<R>[] | undefined {
  const list = lists.find((candidate) => candidate.resource === resource)
  return list === undefined ? undefined : reduceItems(resource, list.items, `stored ${resource}`)
}

/** Returns ` (namespace/name)` of an unchecked object; empty if it has no name. */
function nameOf(item: unknown): string {
  const found = z.object({ metadata: z.object({ namespace: z.string().optional(), name: z.string() }) }).safeParse(item)
  if (!found.success) return ''
  const { namespace: inside, name } = found.data.metadata
  return ` (${oneLine(inside === undefined ? name : `${inside}/${name}`)})`
}
