/** Answers the HTTP API. API Gateway admits callers with a token or a signature; what they may see is decided here. */
import { readConfig } from '../lib/config.ts'
import { type Access, gatewayAccess, signedAccess } from '../lib/query/access/access.ts'
import { createApi } from '../lib/query/api.ts'
import { isSealBehind, readProgress } from '../lib/seal/write/progress.ts'
import { type Container, MAX_BODY_BYTES, logLine, onRequest, setting } from './lambda.ts'

/** Anyone may query the health, so the store is read for it once a minute. */
const HEALTH_MS = 60_000

const config = readConfig()
const packQueue = setting(config.packQueue, 'CIPHERTRAIL_PACK_QUEUE')
const byToken = gatewayAccess(config.apiClaim ?? 'ciphertrail_clusters')
const access: Access = async (request, beside) => (await byToken(request, beside)) ?? signedAccess(request, beside)

let api: ReturnType<typeof createApi> | undefined

export const handler = onRequest((request, beside, container) => {
  api ??= createApi(container.version, {
    objects: container.objects,
    now: () => new Date(),
    access,
    isHealthy: () => isHealthy(container),
    log: (line) => logLine('request', line),
    largestBody: MAX_BODY_BYTES,
    queuePack,
  })
  return api.fetch(request, beside)
})

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
