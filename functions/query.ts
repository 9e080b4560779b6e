/**
 * Answers the HTTP API, and the pages if people sign in. Without pages, API Gateway admits callers with a token or a signature. With pages it admits everybody,
 * and tokens and sessions are checked here. What they may see is decided here in both cases.
 */
import { readConfig } from '../lib/config.ts'
import { type Access, gatewayAccess, signedAccess } from '../lib/query/access/access.ts'
import { createApi, isApiPath } from '../lib/query/api.ts'
import type { ApiDeps } from '../lib/query/api-deps.ts'
import { isWayBack } from '../lib/query/oidc/settings.ts'
import { rememberEvidence } from '../lib/store/evidence/find-evidence.ts'
import type { Objects } from '../lib/store/objects/objects.ts'
import { isSealBehind, readProgress } from '../lib/seal/write/progress.ts'
import { type Container, MAX_BODY_BYTES, SettingError, logLine, onRequest, setting } from './lambda.ts'
import { once } from '../lib/once.ts'
import { keepHeapSmall } from '../lib/small-heap.ts'
import type { SignInSettings } from './lambda-sign-in.ts'

/** Anyone may query the health, so the store is read for it once a minute. */
const HEALTH_MS = 60_000

const config = readConfig()
const packQueue = setting(config.packQueue, 'CIPHERTRAIL_PACK_QUEUE')
const claim = config.apiClaim ?? 'ciphertrail_clusters'
const settings = config.signInKey === undefined ? undefined : signInSettings(config.signInKey)

/** Loaded by the first request that needs it, as the pages are: most starts are for programs. */
const signIn = settings && once(async () => (await import('./lambda-sign-in.ts')).openSignIn(settings))

const byToken = gatewayAccess(claim)
const access: Access = async (request, beside) => {
  // Questions for many clusters are mostly garbage. A start has little, and would take longer.
  keepHeapSmall()
  if (signIn !== undefined) return (await signIn()).access(request, beside)
  return (await byToken(request, beside)) ?? signedAccess(request, beside)
}

/** Of the warm container: what was found of evidence counts for some minutes. */
let objects: Objects | undefined

let api: ReturnType<typeof createApi> | undefined

let pages: (() => Promise<Pick<ReturnType<typeof createApi>, 'fetch'>>) | undefined

export const handler = onRequest(async (request, beside, container) => {
  const deps: ApiDeps = {
    objects: (objects ??= rememberEvidence(container.objects, () => new Date())),
    now: () => new Date(),
    access,
    isHealthy: () => isHealthy(container),
    log: (line) => logLine('request', line),
    largestBody: MAX_BODY_BYTES,
    queuePack,
  }
  if (signIn !== undefined && !isApiPath(new URL(request.url).pathname)) {
    pages ??= once(async () => (await import('./lambda-pages.ts')).openPages(container.version, deps, await signIn()))
    return (await pages()).fetch(request, beside)
  }
  api ??= createApi(container.version, deps)
  return api.fetch(request, beside)
})

/** What must be set beside the key. Throws SettingError. */
function signInSettings(key: string): SignInSettings {
  const url = setting(config.url, 'CIPHERTRAIL_URL')
  if (!isWayBack(new URL(url)))
    throw new SettingError('Cannot start: CIPHERTRAIL_URL has a path or no https, to which no issuer leads people back')
  return {
    key,
    issuer: setting(config.apiIssuer, 'CIPHERTRAIL_API_ISSUER'),
    audiences: (config.apiAudience ?? '').split(/[\s,]+/).filter((one) => one !== ''),
    clientId: setting(config.signInClient, 'CIPHERTRAIL_SIGN_IN_CLIENT'),
    scope: config.signInScope ?? 'openid',
    secret: config.signInSecret ?? null,
    claim,
    url: new URL(url).origin,
    allowedNetworks: config.allowedNetworks,
  }
}

/** Asks `pack` for the pack of a report. */
async function queuePack(report: string): Promise<void> {
  // Loaded here, since hardly any request asks for one.
  const { SQSClient, SendMessageCommand } = await import('@aws-sdk/client-sqs')
  await new SQSClient({}).send(new SendMessageCommand({ QueueUrl: packQueue, MessageBody: JSON.stringify({ report }) }))
}

let health: { readonly until: number; readonly isGood: boolean } | undefined

/** Whether the store answers and the log was extended lately: if no schedule runs, nothing is sealed either. */
async function isHealthy({ objects }: Container): Promise<boolean> {
  const now = Date.now()
  if (health === undefined || now >= health.until) {
    const { progress } = await readProgress(objects).catch(() => ({ progress: undefined }))
    const isGood = progress !== undefined && !isSealBehind(now / 1000, progress.sealedAt)
    health = { until: now + HEALTH_MS, isGood }
  }
  return health.isGood
}
