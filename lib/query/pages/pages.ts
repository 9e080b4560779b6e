/** The pages for people: which is where, who may see it, and what is said where there is none. */
import { Hono } from 'hono'
import { compress } from 'hono/compress'
import { StoreError } from '../../store/objects/objects.ts'
import { countWords, plural } from '../../report/words/vocabulary.ts'
import { compareText } from '../../text/order.ts'
import { replayNote } from '../../report/words/replay-note.ts'
import { printable } from '../../text/printable.ts'
import { datesOf } from '../../time/dates.ts'
import { type Grant, isFromElsewhere } from '../access/access.ts'
import type { ApiDeps } from '../api-deps.ts'
import { ProblemError, statusOf } from '../problem.ts'
import { askForPack } from '../routes/pack-route.ts'
import { changesPage } from './changes-page.ts'
import { flowPage } from './flow-page.ts'
import { pastOf, navigationOf } from './frame.ts'
import { lifeLinePage } from './life-line-page.ts'
import { nowPage } from './now-page.ts'
import { packPage } from './pack-page.ts'
import type { MakePage, PageDeps } from './page.ts'
import { hrefOf, parametersOf, readSiteQuery } from './page-query.ts'
import { pathsPage } from './paths-page.ts'
import { ManyClustersError, type ReadStatus, createHistoryReader } from './read-history.ts'
import { BusyError } from './read-limit.ts'
import { type Frame, PAGE_HEADERS, pageResponse, stylesResponse, stylesheet } from './render.ts'
import { reportsPage } from './reports-page.ts'
import { type OidcDeps, SIGNED_OUT, addOidcRoutes } from './oidc-sign-in.ts'
import { type Sessions, withSession } from './sessions.ts'
import {
  BARE,
  type SignInDeps,
  bringsSession,
  enter,
  refusedPage,
  seeOther,
  signIn,
  signInPage,
  signOut,
} from './sign-in.ts'
import { clustersPage, logPage } from './summary-pages.ts'
import { workloadsPage } from './workloads-page.ts'

/** What the pages need beside what the API needs. */
export type PagesDeps = Pick<ApiDeps, 'objects' | 'now' | 'access' | 'log' | 'largestBody' | 'queuePack'> &
  SignInDeps & {
    readonly sessions: Sessions
    readonly readStatus: ReadStatus
    /** Where people sign in; null where they do not. */
    readonly oidc: OidcDeps | null
  }

/** The audit pack of a report, and where its button posts to. */
const PACK_PAGE = '/reports/:id/pack'

/** Each page by its address, as Hono's router has it. */
const PAGES: readonly (readonly [path: string, page: MakePage])[] = [
  ['/', nowPage],
  ['/clusters', clustersPage],
  ['/paths', pathsPage],
  ['/paths/:cluster/:pathId', lifeLinePage],
  ['/workloads', workloadsPage],
  ['/flow', flowPage],
  ['/changes', changesPage],
  ['/reports', reportsPage],
  [PACK_PAGE, packPage],
  ['/log', logPage],
]

type Env = {
  readonly Bindings: object
  readonly Variables: { readonly subject: string; readonly failure: string; readonly grant: Grant }
}

const MAX_LOGGED_PATH_LENGTH = 200

const TOO_LARGE =
  'It cannot be handed over in one piece. Name one cluster by the parameter cluster, as in ?cluster=prod, or a namespace.'

const CHOICE =
  'Unencrypted paths are counted whatever their class; what was seen after the time beside them is on the page of the cluster.'

/** After so long a place in the queue is likely to be free. */
const RETRY_SECONDS = 10

/**
 * The pages as a Hono application. They only read, but for the button that asks for the audit pack of a report; whoever signs in or out changes what this process
 * remembers. All but the styles and the form that asks for a token is closed to whom `access` does not know.
 */
export function createPages(version: string, deps: PagesDeps): Hono<Env> {
  const { objects, now, access, log } = deps
  const pageDeps: PageDeps = {
    objects,
    now,
    version,
    history: createHistoryReader({ ...deps, version }),
    makesPacks: deps.queuePack !== undefined,
  }
  const app = new Hono<Env>({ getPath: ({ url }) => new URL(url).pathname })

  /** The clusters to choose from, where a page is of several. */
  async function otherClusters(grant: Grant | undefined, url: string): Promise<readonly PageLink[]> {
    if (grant === undefined || new URL(url).searchParams.has('cluster')) return []
    const clusters = await pageDeps.history.clusters({ grant, cluster: null })
    return clusters.length < 2
      ? []
      : clusterLinks(
          url,
          clusters.map(({ id }) => ({ id, known: undefined })),
        )
  }

  const { largestBody } = deps
  if (largestBody !== undefined)
    app.use('*', async (context, next) => {
      await next()
      const { res, req } = context
      const body = await res.arrayBuffer()
      const isTooLarge = body.byteLength > largestBody
      const others = isTooLarge ? await otherClusters(context.get('grant'), req.url) : []
      // The headers of the one that is too large are not those of the page that says so.
      context.res = undefined
      context.res = isTooLarge
        ? messagePage(400, 'This page is too large', [TOO_LARGE], { canSignOut: bringsSession(req.raw), next: others })
        : new Response(body.byteLength === 0 ? null : body, res)
    })
  app.use('*', compress({ encoding: 'gzip' }))
  app.use('*', async (context, next) => {
    await next()
    const { req, res } = context
    if (req.path.startsWith('/assets/')) return
    log({
      method: printable(req.method).slice(0, 20),
      // What follows is a secret.
      path: req.path.startsWith('/enter/') ? '/enter' : printable(req.path).slice(0, MAX_LOGGED_PATH_LENGTH),
      status: res.status,
      subject: (context.get('subject') as string | undefined) ?? null,
      error: (context.get('failure') as string | undefined) ?? null,
    })
  })
  app.get(stylesheet().path, () => stylesResponse())
  if (deps.takesTokens) app.post('/sign-in', ({ req, env }) => signIn(req.raw, env, deps))
  const { oidc } = deps
  app.post('/sign-out', ({ req }) =>
    signOut(
      req.raw,
      deps,
      oidc && { sessions: oidc.sessions, signedOut: SIGNED_OUT, pagesOrigin: oidc.issuer.pagesOrigin },
    ),
  )
  if (oidc !== null) addOidcRoutes(app, oidc, (context, message) => context.set('failure', message))
  if (deps.hasLink)
    app.get('/enter/:token', async ({ req, env }) => {
      const entered =
        req.method === 'HEAD'
          ? undefined
          : await enter(req.raw, req.param('token'), { environment: env, next: '/' }, deps)
      return entered ?? signInPage(req.raw, '/', deps)
    })
  app.post(PACK_PAGE, async (context) => {
    const { req, env } = context
    if (isFromElsewhere(req.raw, oidc?.issuer.pagesOrigin))
      return refusedPage('This form was not sent from here', 'Open the page again and press its button there.')
    // Sessions only read, and the form came from here: whoever may see the page may press its button.
    const asked = withSession(new Request(req.url, { headers: req.raw.headers }), deps.sessions)
    const grant = await access(asked, env)
    const here = new URL(req.url).pathname
    if (grant === undefined) return signInPage(req.raw, here, deps)
    context.set('subject', grant.subject)
    await askForPack({ id: req.param('id'), grant }, deps)
    return seeOther(here)
  })
  for (const [path, make] of PAGES)
    app.get(path, async (context) => {
      const { req } = context
      const grant = await access(req.raw, context.env)
      const asked = new URL(req.url)
      if (grant === undefined) return signInPage(req.raw, `${asked.pathname}${asked.search}`, deps)
      context.set('subject', grant.subject)
      context.set('grant', grant)
      const canSignOut = bringsSession(req.raw)
      if (grant.clusters !== 'all' && grant.clusters.length === 0)
        return messagePage(
          403,
          'No cluster is granted',
          ['Whoever runs ciphertrail can grant some to your token or account.'],
          {
            canSignOut,
          },
        )
      const query = readSiteQuery(asked.searchParams, now())
      const names = req.path.includes('%') ? {} : req.param()
      const { title, template, view, replay, standing } = await make({ query, grant, names }, pageDeps)
      return pageResponse(200, template, {
        frame: {
          title,
          places: navigationOf(path, query.past),
          replay: replay ?? (await replayOf(grant, pageDeps)),
          standing,
          past: pastOf(query, hrefOf(asked.pathname, { ...parametersOf(query), at: null })),
          canSignOut,
        },
        view,
      })
    })
  app.all('*', (context) => {
    const { req } = context
    const isPage = PAGES.some(([path]) => path === req.path) || ['/sign-in', '/sign-out'].includes(req.path)
    if (!isPage || req.method === 'GET' || req.method === 'HEAD')
      return messagePage(404, 'There is no such page', ['Its address may have been copied in part.'], {
        canSignOut: bringsSession(req.raw),
      })
    return messagePage(405, 'This page is only read', [], { canSignOut: false }, { allow: 'GET, HEAD' })
  })
  app.onError((thrown, context) => {
    const canSignOut = bringsSession(context.req.raw)
    if (thrown instanceof ProblemError) {
      const [title, lines] = problemWords(thrown)
      const { pathname } = new URL(context.req.url)
      return messagePage(statusOf(thrown.kind), title, lines, { canSignOut, next: nextOf(thrown, pathname) })
    }
    if (thrown instanceof ManyClustersError) {
      const next = clusterLinks(context.req.url, thrown.clusters)
      const isCounted = thrown.clusters.some(({ known }) => known !== undefined)
      const lines = [`${thrown.message}.`, ...(isCounted ? [CHOICE] : [])]
      return messagePage(200, 'Choose a cluster', lines, { canSignOut, next })
    }
    context.set('failure', thrown.message)
    if (thrown instanceof BusyError)
      return messagePage(
        503,
        'Too much is asked at once',
        [`Other pages are read now. Look again in ${RETRY_SECONDS} seconds.`],
        { canSignOut },
        { 'retry-after': String(RETRY_SECONDS) },
      )
    return thrown instanceof StoreError
      ? messagePage(503, 'The store cannot be read now', ['Look again later, or into the log of the server.'], {
          canSignOut,
        })
      : messagePage(500, 'This page could not be made', ['The log of the server says why.'], { canSignOut })
  })
  return app
}

/** Every page says so where what it shows was not collected now. */
async function replayOf(grant: Grant, { history }: PageDeps): Promise<string | null> {
  const note = replayNote(await history.clusters({ grant, cluster: null }))
  return note === null ? null : printable(note)
}

/** Where to go from what could not be shown: the same page without what was asked of it, or a life line over a longer time. */
function nextOf({ kind }: ProblemError, pathname: string): readonly PageLink[] {
  if (!PAGES.some(([path]) => path === pathname)) {
    const isLifeLine = /^\/paths\/[a-z0-9-]+\/[a-z0-9]+$/.test(pathname)
    return kind === 'not-found' && isLifeLine
      ? [{ href: hrefOf(pathname, { period: '1y' }), title: 'The same path over a year' }]
      : []
  }
  return pathname === '/' || (kind !== 'bad-parameter' && kind !== 'not-found')
    ? []
    : [{ href: pathname, title: 'This page without filters' }]
}

type PageLink = { readonly href: string; readonly title: string }

function problemWords({ kind, message }: ProblemError): readonly [string, readonly string[]] {
  if (kind === 'not-found') return ['There is nothing to see here', [message]]
  if (kind === 'not-ready') return ['This is not there yet', [message]]
  if (kind === 'bad-parameter') return ['This address cannot be understood', [message]]
  return ['This cannot be shown now', [message]]
}

/** The same page about each of some clusters, those with the most open paths first. */
function clusterLinks(url: string, clusters: ManyClustersError['clusters']): readonly PageLink[] {
  const times = clusters.flatMap(({ known }) => known?.until ?? []).sort()
  const { moment } = datesOf({ from: times[0] ?? EPOCH, to: times.at(-1) ?? EPOCH, timeZone: 'UTC' })
  return clusters
    .toSorted((a, b) => (b.known?.open ?? 0) - (a.known?.open ?? 0) || compareText(a.id, b.id))
    .map(({ id, known }) => ({
      href: withCluster(url, id),
      title:
        known === undefined || known.until === null
          ? id
          : `${id}: ${plural(known.open, 'unencrypted path')} of ${countWords(known.paths)} at ${moment(known.until)} (UTC)`,
    }))
}

const EPOCH = '1970-01-01T00:00:00Z'

/** The same page, about one cluster. */
function withCluster(url: string, id: string): string {
  const { pathname, searchParams } = new URL(url)
  searchParams.set('cluster', id)
  return `${pathname}?${searchParams.toString()}`
}

function messagePage(
  status: number,
  title: string,
  lines: readonly string[],
  { canSignOut, next = [] }: Pick<Frame, 'canSignOut'> & { readonly next?: readonly PageLink[] },
  headers: Readonly<Record<string, string>> = {},
): Response {
  return pageResponse(
    status,
    'message',
    {
      frame: { ...BARE, title, canSignOut },
      view: { title, entry: null, lines, form: null, links: [...next, { href: '/', title: 'To the front page' }] },
    },
    { ...headers, 'content-security-policy': PAGE_HEADERS['content-security-policy'] },
  )
}
