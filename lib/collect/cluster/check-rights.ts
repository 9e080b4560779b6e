import * as z from 'zod'
import { concurrently } from '../../concurrently.ts'
import type { Cluster } from '../../model/registry.ts'
import { CONNECTIONS } from '../../net/connections.ts'
import { NEEDLESS, grantText, rightText } from './rights.ts'
import type { NeededRight, Right } from './rights.ts'
import type { KubernetesApi } from './apis.ts'
import { SourceError } from '../../net/errors.ts'

/** The caller's permissions, as the API server reports them. */
export type Rights = {
  /** The needed permissions, and whether they are granted. Empty if the review failed. */
  readonly needed: readonly { readonly right: NeededRight; readonly isThere: boolean }[]
  /** Permissions that are granted although nothing needs them. */
  readonly needless: readonly Right[]
  /** Why the review failed, in one line. */
  readonly problem: string | null
}

const REVIEWS = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'

const reviewSchema = z.object({ status: z.object({ allowed: z.boolean() }) })

/**
 * Asks the API server which permissions are granted: one review for each, since only that is exact whatever authorizer decides. Any user may review their own
 * permissions.
 */
export async function askRights(
  api: Pick<KubernetesApi, 'review'>,
  cluster: Cluster,
  rights: readonly NeededRight[],
): Promise<Rights> {
  const asked: readonly Right[] = [...rights, ...NEEDLESS]
  let answers: readonly boolean[]
  try {
    answers = await concurrently(asked, CONNECTIONS, (right) => isAllowed(api, cluster, right))
  } catch (error) {
    if (!(error instanceof SourceError)) throw error
    return { needed: [], needless: [], problem: error.message }
  }
  return {
    needed: rights.map((right, index) => ({ right, isThere: answers[index] === true })),
    needless: NEEDLESS.filter((_, index) => answers[rights.length + index] === true),
    problem: null,
  }
}

async function isAllowed(api: Pick<KubernetesApi, 'review'>, cluster: Cluster, right: Right): Promise<boolean> {
  const { verb, group, resource, namespace, name } = right
  const [plural, subresource] = resource.split('/')
  const what = `ask for the right to ${rightText(right)} of cluster "${cluster.id}"`
  const answer = await api.review(
    REVIEWS,
    {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: { verb, group, resource: plural, subresource, namespace, name } },
    },
    { what },
  )
  const review = reviewSchema.safeParse(answer)
  if (!review.success)
    throw new SourceError({ source: 'kubernetes', what }, 'malformed', 'the answer of the API server is no review')
  return review.data.status.allowed
}

/** Why a missing permission is needed, and what grants it, in one line. */
export function lackText(right: NeededRight, cluster: Cluster): string {
  return `Cannot ${rightText(right)} of cluster "${cluster.id}": the credentials may not, and ${right.why}; ${grantText(right)}`
}
