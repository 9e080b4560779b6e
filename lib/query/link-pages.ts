import type { Hono } from 'hono'
import { type Download, linkName } from '../deliver/link/downloads.ts'
import { printable } from '../text/printable.ts'
import { problemResponse } from './answer.ts'
import type { ApiDeps, RequestLog } from './api-deps.ts'
import { problemOf } from './problem.ts'
import { createRouter } from './router.ts'
import { type DownloadAnswer, answerDownload, answerDownloadBytes } from './routes/download-route.ts'
import { FORM_HEADERS } from './routes/form-page.ts'
import { answerUnsubscribe } from './routes/unsubscribe-route.ts'

/** The pages behind links from mails. Their addresses are their keys, so that nobody is asked who they are. */
export function createLinkPages(deps: Omit<ApiDeps, 'access' | 'isHealthy'>): Hono {
  const { log } = deps
  const app = createRouter()
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
  return app
}

/** Of a problem at an address that is a secret. */
const UNSEARCHED = { 'x-robots-tag': FORM_HEADERS['x-robots-tag'] }

/** Which link it was, as `ciphertrail channel links` has it. */
function loggedOf({ id, channel, report }: Download): NonNullable<RequestLog['download']> {
  return { link: linkName(id), channel, report }
}
