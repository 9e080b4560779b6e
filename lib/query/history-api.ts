import type { Hono } from 'hono'
import { keepHistories } from '../history/kept-histories.ts'
import { acceptedType } from './accept.ts'
import { type Grant, isFromElsewhere } from './access/access.ts'
import { SECURITY_HEADERS, methodProblem, responseOf } from './answer.ts'
import type { ApiDeps } from './api-deps.ts'
import { keepAnswers } from './kept-answers.ts'
import { readNoQuery } from './parameters.ts'
import { NOT_FOUND, ProblemError } from './problem.ts'
import { createRouter } from './router.ts'
import { answerPack, askForPack, LOOK_AGAIN_SECONDS, PACK_PATH } from './routes/pack-route.ts'
import { packItem } from './routes/reports-route.ts'
import { routesOf } from './routes/routes.ts'

/** What stands beside a request: whoever asks was let in before. */
type HistoryEnv = { readonly Bindings: { readonly grant: Grant } }

/** A window becomes due at a full minute, and waivers begin and end by the times of windows. */
const MINUTE_MS = 60_000

/** Every place under `/v1`, for whoever was let in: shows only the clusters that are granted. Rejects with whatever an answer throws. */
export function createHistoryApi(deps: Omit<ApiDeps, 'access' | 'isHealthy' | 'log'>): Hono<HistoryEnv> {
  const app = createRouter<HistoryEnv>()
  // Streamed, and so not kept; and the one place that takes an order.
  app.get(PACK_PATH, ({ req, env: { grant } }) => {
    const { id = '' } = namesIn(req)
    refuseQuery(req.url)
    return answerPack(req.raw, { id, grant }, deps)
  })
  app.post(PACK_PATH, async ({ req, env: { grant } }) => {
    const { id = '' } = namesIn(req)
    refuseQuery(req.url)
    if (isFromElsewhere(req.raw))
      throw new ProblemError('not-allowed', 'Cannot ask for a pack from a page of another site: ask from here')
    const item = packItem(id, await askForPack({ id, grant }, deps))
    const isWaiting = item.status === 'asked'
    return Response.json(item, {
      status: isWaiting ? 202 : 200,
      headers: {
        ...SECURITY_HEADERS,
        'cache-control': 'no-store',
        ...(isWaiting ? { location: `/v1/reports/${id}`, 'retry-after': String(LOOK_AGAIN_SECONDS) } : {}),
      },
    })
  })
  app.all(PACK_PATH, () => methodProblem('GET, HEAD, POST'))
  const answerOnce = keepAnswers(deps.objects)
  const histories = keepHistories()
  for (const [index, { path, types }] of routesOf(deps).entries()) {
    app.get(path, async ({ req, env: { grant } }) => {
      const names = namesIn(req)
      const wanted = types(names)
      const type = acceptedType(req.header('accept') ?? null, wanted)
      if (type === undefined)
        throw new ProblemError('not-acceptable', `Cannot answer in the wanted form: there is ${wanted.join(', ')}`)
      const { search } = new URL(req.url)
      // One answer is made as of one moment, and kept for as long as no window can become due.
      const now = deps.now()
      const question = JSON.stringify([req.path, search, type, grant.clusters])
      const minute = Math.floor(now.getTime() / MINUTE_MS)
      const made = await answerOnce({ question, minute }, async (objects) => {
        const route = routesOf({ objects, now: () => now, histories })[index]
        if (route === undefined) throw NOT_FOUND
        return route.answer({ search: new URLSearchParams(search), grant, type, names })
      })
      return responseOf(made, req.raw, deps)
    })
    app.all(path, () => methodProblem())
  }
  return app
}

/**
 * The names in a path. IAM's policies know it as it was sent, so that no name may be that of another path: none of ours is encoded, and one that is names
 * nothing.
 */
function namesIn(req: { readonly path: string; readonly param: () => Names }): Names {
  return req.path.includes('%') ? {} : req.param()
}

type Names = Readonly<Record<string, string>>

function refuseQuery(url: string): void {
  readNoQuery(new URL(url).searchParams)
}
