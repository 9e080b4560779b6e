import { Hono } from 'hono'
import { type Download, linkName } from '../deliver/link/downloads.ts'
import { keepHistories } from '../history/kept-histories.ts'
import { printable } from '../text/printable.ts'
import { StoreError } from '../store/objects/objects.ts'
import { acceptedType } from './accept.ts'
import { type Access, type Grant, isFromElsewhere } from './access/access.ts'
import {
  SECURITY_HEADERS,
  type TaggedAnswer,
  healthResponse,
  jsonAnswer,
  problemResponse,
  responseOf,
  tagged,
} from './answer.ts'
import { readNoQuery } from './parameters.ts'
import { type DownloadAnswer, answerDownload, answerDownloadBytes } from './routes/download-route.ts'
import { frontPage } from './routes/front-page.ts'
import { answerUnsubscribe } from './routes/unsubscribe-route.ts'
import { FORM_HEADERS } from './routes/form-page.ts'
import { keepAnswers } from './kept-answers.ts'
import { type PackRouteDeps, answerPack, askForPack, LOOK_AGAIN_SECONDS, PACK_PATH } from './routes/pack-route.ts'
import { packItem } from './routes/reports-route.ts'
import { ProblemError } from './problem.ts'
import { routesOf } from './routes/routes.ts'

/** A line of the log of requests. Holds no credential and no parameter. */
export type RequestLog = {
  readonly method: string
  /** Printable. */
  readonly path: string
  readonly status: number
  /** Who asked; null where nobody could be told. */
  readonly subject: string | null
  /** What went wrong on our side, for the operator; null where nothing did. */
  readonly error: string | null
  /** What a link from a mail led to; absent elsewhere. The subject is whose mail it stood in. */
  readonly download?: { readonly link: string; readonly channel: string; readonly report: string }
}

export type ApiDeps = PackRouteDeps & {
  readonly access: Access
  /** Whether the service does its work: `/health` says so to everybody. */
  readonly isHealthy: () => Promise<boolean>
  readonly log: (line: RequestLog) => void
}

/** What a request carries through the routes. */
type ApiEnv = { readonly Bindings: object; readonly Variables: { readonly grant: Grant } }

/** A window becomes due at a full minute, and waivers begin and end by the times of windows. */
const MINUTE_MS = 60_000

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
  // By the path as it was sent, which is not decoded first.
  const app = new Hono<ApiEnv>({ getPath: ({ url }) => new URL(url).pathname })

  app.all('/health', async ({ req }) => {
    if (!isReading(req.method)) return methodProblem(req.method)
    return healthResponse(await isHealthy(), version)
  })
  let described: Promise<TaggedAnswer> | undefined
  app.all('/openapi.json', async ({ req }) => {
    if (!isReading(req.method)) return methodProblem(req.method)
    // Few ask for it, and whoever does not is not to wait for its schemas to be made.
    described ??= import('./openapi/document.ts').then(({ openApiDocument }) =>
      tagged(jsonAnswer(openApiDocument(version))),
    )
    return responseOf(await described, req.raw, deps)
  })
  app.all('/', ({ req }) => (isReading(req.method) ? frontPage() : methodProblem(req.method)))
  /** Answers a page whose address is its key: of that only a part is logged that is no secret. */
  async function answerByLink(
    request: Request,
    path: string,
    answer: () => Promise<DownloadAnswer>,
  ): Promise<Response> {
    let answered: DownloadAnswer
    let error: string | null = null
    try {
      answered = await answer()
    } catch (thrown) {
      error = thrown instanceof Error ? thrown.message : String(thrown)
      answered = { response: problemResponse(problemOf(thrown), UNSEARCHED), download: null }
    }
    const { response, download } = answered
    log({
      method: printable(request.method),
      path,
      status: response.status,
      subject: download?.recipient ?? null,
      error,
      ...(download === null ? {} : { download: loggedOf(download) }),
    })
    return response
  }
  app.all('/unsubscribe/:channel/:recipient/:mac', ({ req }) =>
    answerByLink(req.raw, '/unsubscribe', async () => ({
      response: await answerUnsubscribe(req.raw, req.param(), deps),
      download: null,
    })),
  )
  app.all('/d/:token', ({ req }) =>
    answerByLink(req.raw, '/d', () => answerDownload(req.raw, req.param('token'), deps)),
  )
  app.all('/d/:ticket/:name', ({ req }) =>
    answerByLink(req.raw, '/d/file', () => answerDownloadBytes(req.raw, req.param(), deps)),
  )
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
  app.use('/v1/*', async (context, next) => {
    const grant = await access(context.req.raw, context.env)
    if (grant === undefined)
      throw new ProblemError('not-authenticated', 'Cannot answer: wanted a token, as "Authorization: Bearer TOKEN"')
    context.set('grant', grant)
    if (grant.clusters !== 'all' && grant.clusters.length === 0)
      throw new ProblemError('not-allowed', 'Cannot answer: no cluster is granted to this token')
    await next()
  })
  // Streamed, and so not kept; and the one place that takes an order.
  app.get(PACK_PATH, ({ req, get }) => {
    const { id = '' } = namesIn(req)
    refuseQuery(req.url)
    return answerPack(req.raw, { id, grant: get('grant') }, deps)
  })
  app.post(PACK_PATH, async ({ req, get }) => {
    const { id = '' } = namesIn(req)
    refuseQuery(req.url)
    if (isFromElsewhere(req.raw))
      throw new ProblemError('not-allowed', 'Cannot ask for a pack from a page of another site: ask from here')
    const item = packItem(id, await askForPack({ id, grant: get('grant') }, deps))
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
  app.all(PACK_PATH, ({ req }) => methodProblem(req.method, 'GET, HEAD, POST'))
  const answerOnce = keepAnswers(deps.objects)
  const histories = keepHistories()
  for (const [index, { path, types }] of routesOf(deps).entries()) {
    app.get(path, async ({ req, get }) => {
      const names = namesIn(req)
      const wanted = types(names)
      const type = acceptedType(req.header('accept') ?? null, wanted)
      if (type === undefined)
        throw new ProblemError('not-acceptable', `Cannot answer in the wanted form: there is ${wanted.join(', ')}`)
      const { search } = new URL(req.url)
      const grant = get('grant')
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
    app.all(path, ({ req }) => methodProblem(req.method))
  }
  app.notFound(() => problemResponse(NOT_FOUND))
  app.onError((thrown, { req }) => {
    if (!req.path.startsWith('/v1/'))
      log({ method: req.method, path: '', status: 500, subject: null, error: thrown.message })
    return problemResponse(problemOf(thrown))
  })
  return app
}

/** Of a problem at an address that is a secret. */
const UNSEARCHED = { 'x-robots-tag': FORM_HEADERS['x-robots-tag'] }

/** Which link it was, as `ciphertrail channel links` has it. */
function loggedOf({ id, channel, report }: Download): NonNullable<RequestLog['download']> {
  return { link: linkName(id), channel, report }
}

const NOT_FOUND = new ProblemError('not-found', 'Cannot find this: there is no such place in the API')

function isReading(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}

function methodProblem(method: string, allow = 'GET, HEAD'): Response {
  return problemResponse(
    new ProblemError(
      'method-not-allowed',
      `Cannot ${printable(method).slice(0, 20)} here: wanted ${allow.replace(/, (\w+)$/, ' or $1')}`,
    ),
    { allow },
  )
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

/** What somebody outside may know of an error. */
function problemOf(thrown: unknown): ProblemError {
  if (thrown instanceof ProblemError) return thrown
  if (thrown instanceof StoreError)
    return new ProblemError(
      'unreadable',
      'Cannot read the store now: ask again later, or look into the log of the service',
    )
  return new ProblemError('failed', 'Cannot answer because of a failure in the service: its log tells more')
}
