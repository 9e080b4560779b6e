import type { Hono } from 'hono'
import { once } from '../once.ts'
import { printable } from '../text/printable.ts'
import type { Grant } from './access/access.ts'
import {
  type TaggedAnswer,
  healthResponse,
  jsonAnswer,
  methodProblem,
  problemResponse,
  responseOf,
  tagged,
} from './answer.ts'
import type { ApiDeps } from './api-deps.ts'
import { ProblemError, problemOf } from './problem.ts'
import { createRouter } from './router.ts'
import { frontPage } from './routes/front-page.ts'

/** What a request carries through the routes. */
type ApiEnv = { readonly Bindings: object; readonly Variables: { readonly grant: Grant } }

/** Whether the API answers at a path; all else is pages. */
export function isApiPath(pathname: string): boolean {
  return /^\/(v1|health|unsubscribe|d|openapi\.json)(\/|$)/.test(pathname)
}

/** Nobody sends a longer one. */
const MAX_LOGGED_PATH_LENGTH = 200

/**
 * The HTTP API: a Hono application, of which `fetch` takes a request and gives a response. It only ever reads, but for whoever asks for the audit pack of a report,
 * or presses the button of a page behind a link from a mail. All but `/`, `/health`, `/openapi.json` and those pages, whose link is its own key, is closed to whom `access` does not know, and shows only the clusters that are granted. What goes wrong is a problem document (RFC 9457), and says nothing of the inside.
 *
 * @param version of ciphertrail, which `/health` tells
 */
export function createApi(version: string, deps: ApiDeps): Hono<ApiEnv> {
  const { access, isHealthy, log } = deps
  const app = createRouter<ApiEnv>()

  app.all('/health', async ({ req }) => {
    if (!isReading(req.method)) return methodProblem()
    return healthResponse(await isHealthy(), version)
  })
  let described: Promise<TaggedAnswer> | undefined
  app.all('/openapi.json', async ({ req }) => {
    if (!isReading(req.method)) return methodProblem()
    // Few ask for it, and whoever does not is not to wait for its schemas to be made.
    described ??= import('./openapi/document.ts').then(({ openApiDocument }) =>
      tagged(jsonAnswer(openApiDocument(version))),
    )
    return responseOf(await described, req.raw, deps)
  })
  app.all('/', ({ req }) => (isReading(req.method) ? frontPage() : methodProblem()))
  // Each part is loaded by the first request for it, so that a function starts without what it may not need.
  const links = once(async () => (await import('./link-pages.ts')).createLinkPages(deps))
  for (const path of ['/unsubscribe/*', '/d/*']) app.all(path, async ({ req }) => (await links()).fetch(req.raw))
  const history = once(async () => (await import('./history-api.ts')).createHistoryApi(deps))
  app.use('/v1/*', async (context, next) => {
    await next()
    const { req, res, error } = context
    log({
      method: printable(req.method),
      path: printable(req.path).slice(0, MAX_LOGGED_PATH_LENGTH),
      status: res.status,
      subject: (context.get('grant') as Grant | undefined)?.subject ?? null,
      error: error === undefined || error instanceof ProblemError ? null : error.message,
    })
  })
  app.all('/v1/*', async ({ req, env, set }) => {
    // Who asks may be read over the network: the places are loaded meanwhile.
    const [grant, places] = await Promise.all([access(req.raw, env), history()])
    if (grant === undefined)
      throw new ProblemError('not-authenticated', 'Cannot answer: wanted a token, as "Authorization: Bearer TOKEN"')
    set('grant', grant)
    if (grant.clusters !== 'all' && grant.clusters.length === 0)
      throw new ProblemError('not-allowed', 'Cannot answer: no cluster is granted to this token')
    return places.fetch(req.raw, { grant })
  })
  app.onError((thrown, { req }) => {
    if (!req.path.startsWith('/v1/'))
      log({ method: req.method, path: '', status: 500, subject: null, error: thrown.message })
    return problemResponse(problemOf(thrown))
  })
  return app
}

function isReading(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}
