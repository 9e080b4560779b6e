/**
 * Shared by all functions: the state of a container, the two kinds of events, one line of log and a few metrics for each event, and a timeout before Lambda's
 * own. No event, no credential and no stack of an expected error is ever logged.
 */
import { BatchProcessor, EventType, processPartialResponse } from '@aws-lambda-powertools/batch'
import { Logger } from '@aws-lambda-powertools/logger'
import { injectLambdaContext } from '@aws-lambda-powertools/logger/middleware'
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics'
import { logMetrics } from '@aws-lambda-powertools/metrics/middleware'
import middy from '@middy/core'
import type { APIGatewayProxyStructuredResultV2, Context, SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda'
import * as z from 'zod'
import manifest from '../package.json' with { type: 'json' }
import { type Config, readConfig } from '../lib/config.ts'
import { useBudget } from '../lib/observed/budget.ts'
import type { Objects } from '../lib/store/objects/objects.ts'
import { type S3Address, parseAddress } from '../lib/store/objects/s3/address.ts'
import { s3Objects } from '../lib/store/objects/s3/s3-objects.ts'
import { parseJson } from '../lib/text/parse-json.ts'

/** How long before Lambda's own timeout a function ends by itself, so that it can report it. */
const EARLY_MS = 2_000

/** What a container keeps between events. */
export type Container = {
  readonly config: Config
  /** Version of ciphertrail. */
  readonly version: string
  /** The store; opened once. */
  readonly objects: Objects
}

/** The outcome of an event: fields of its log line, and counts that CloudWatch sums over all containers. */
export type RunOutcome = {
  readonly logFields: Readonly<Record<string, unknown>>
  readonly counts?: Readonly<Record<string, number>>
  /** The error that stopped it: the event counts as failed, and its progress is still logged. */
  readonly error?: unknown
}

/** A missing or unusable setting. One line. */
export class SettingError extends Error {
  override readonly name = 'SettingError'
}

// A missing or wrong setting fails the start of the container, not the first message.
const config = readConfig()
useBudget(config.budget)
const address = storeAddress()
const logger = new Logger({ serviceName: 'ciphertrail' })
const metrics = new Metrics({
  serviceName: 'ciphertrail',
  // An event without counts is normal; the other warnings are about dimensions, and there are none.
  logger: { debug: noLine, info: noLine, warn: noLine, error: noLine },
})

function noLine(): void {}

let opened: Objects | undefined

const container: Container = {
  config,
  version: manifest.version,
  get objects() {
    opened ??= openStore()
    return opened
  },
}

function openStore(): Objects {
  return s3Objects(address, { now: () => new Date(), isPathStyle: config.s3Endpoint !== undefined })
}

function storeAddress(): S3Address {
  const named = parseAddress(setting(config.store, 'CIPHERTRAIL_STORE'))
  if (named !== undefined) return named
  throw new SettingError('Cannot use CIPHERTRAIL_STORE: it names a directory, wanted s3://bucket?derived=bucket')
}

/** A required setting. Throws {@link SettingError}. */
export function setting(value: string | undefined, name: string): string {
  if (value !== undefined) return value
  throw new SettingError(`Cannot start: ${name} is not set; the template sets it, deploy again`)
}

const scheduleSchema = z.object({ time: z.iso.datetime() })

/** A function started by a schedule. `now` is the scheduled time, so that a second delivery does the same again; `leftMs` returns the time left. */
export function onSchedule(run: (now: Date, container: Container, leftMs: () => number) => Promise<RunOutcome>) {
  return bounded(async (event, context) => {
    const { time } = parsed(scheduleSchema, event)
    ended(await run(new Date(time), container, leftMsOf(context)))
  }, TIMELY)
}

const batchSchema = z.object({
  Records: z.array(
    z.object({
      messageId: z.string(),
      body: z.string(),
      attributes: z.object({ ApproximateReceiveCount: z.string().exactOptional() }).exactOptional(),
    }),
  ),
})

/**
 * A function started by a queue. A message that fails, or for which no time is left, is named in the answer and delivered again, by itself. `leftMs` returns
 * the time left, `isAgain` whether the message was delivered before: it may have killed the previous function.
 */
export function onQueue<T>(
  schema: z.ZodType<T>,
  run: (message: T, container: Container, leftMs: () => number, isAgain: boolean) => Promise<RunOutcome>,
) {
  return bounded(async (event, context): Promise<SQSBatchResponse> => {
    const inTime = timed(context)
    const answer = await processPartialResponse(
      parsed(batchSchema, event) as SQSEvent,
      async ({ body, attributes }: SQSRecord) => {
        try {
          const message = parsed(schema, parseJson(body))
          // Tests and manual events may have no attributes.
          const received = Number((attributes as Partial<typeof attributes> | undefined)?.ApproximateReceiveCount ?? 1)
          ended(await inTime(() => run(message, container, leftMsOf(context), received > 1)))
        } catch (error) {
          throw told(error)
        }
      },
      new BatchProcessor(EventType.SQS),
      { processInParallel: false, throwOnFullBatchFailure: false },
    )
    metrics.addMetric('FailedMessages', MetricUnit.Count, answer.batchItemFailures.length)
    return answer
  }, EACH_IN_TIME)
}

const requestSchema = z.object({
  rawPath: z.string(),
  rawQueryString: z.string(),
  headers: z.record(z.string(), z.string()),
  cookies: z.array(z.string()).optional(),
  requestContext: z.object({ domainName: z.string(), http: z.object({ method: z.string() }) }),
})

const NOWHERE = {
  statusCode: 404,
  headers: { 'content-type': 'application/problem+json' },
  body: JSON.stringify({ type: 'about:blank', status: 404, title: 'There is nothing of that name' }),
}

const FAILED = {
  statusCode: 500,
  headers: { 'content-type': 'application/problem+json' },
  body: JSON.stringify({
    type: 'about:blank',
    status: 500,
    title: 'Cannot answer because of a failure in the service',
  }),
}

/** Lambda's limit for a response, less what base64 and the other members may add. */
export const MAX_BODY_BYTES = 4_400_000

/**
 * A function that API Gateway calls for each request (HTTP API, payload 2.0). `fetch` receives the request and the event, with the authoriser's result in it.
 * Request bodies are not read: neither the API nor the pages here accept one.
 */
export function onRequest(
  fetch: (request: Request, beside: { readonly event: unknown }, container: Container) => Response | Promise<Response>,
) {
  return bounded(async (event): Promise<APIGatewayProxyStructuredResultV2> => {
    const { rawPath, rawQueryString, headers, cookies, requestContext } = parsed(requestSchema, event)
    const { domainName, http } = requestContext
    const url = `https://${domainName}${rawPath}${rawQueryString === '' ? '' : `?${rawQueryString}`}`
    // IAM policies and API Gateway's log see the path as it was sent: "/v1/a/%2e%2e/b" must not lead to another.
    if (new URL(url).pathname !== rawPath) return NOWHERE
    const request = new Request(url, {
      method: http.method,
      headers: cookies === undefined ? headers : { ...headers, cookie: cookies.join('; ') },
    })
    const response = await fetch(request, { event }, container)
    const body = Buffer.from(await response.arrayBuffer())
    if (body.length > MAX_BODY_BYTES)
      throw new SettingError(
        `Cannot answer a ${http.method} with ${body.length} bytes: Lambda hands over ${MAX_BODY_BYTES}, fetch it from the bucket`,
      )
    const set = response.headers.getSetCookie()
    return {
      statusCode: response.status,
      headers: Object.fromEntries([...response.headers].filter(([name]) => name !== 'set-cookie')),
      // A header has one value here.
      ...(set.length === 0 ? {} : { cookies: set }),
      body: body.toString('base64'),
      isBase64Encoded: true,
    }
  }, TIMELY).onError((request) => {
    // Not returned, which would skip the rest of the boundary.
    request.response = FAILED
  })
}

/** Ends with a message before Lambda ends it without one. */
const TIMELY = {
  timeoutEarlyInMillis: EARLY_MS,
  timeoutEarlyResponse: () => {
    throw timeError()
  },
}

/** The batch has no early timeout, which would discard its finished messages: {@link timed} times each message. */
const EACH_IN_TIME = { timeoutEarlyInMillis: 0 }

/**
 * The boundary of every function: adds the event to each log line, publishes its counts even if it failed, and returns the error that {@link told} gives to
 * Lambda.
 */
function bounded<T>(
  run: (event: unknown, context: Context) => Promise<T>,
  time: typeof TIMELY | typeof EACH_IN_TIME,
): middy.MiddyfiedHandler<unknown, T> {
  return middy<unknown, T>(run, time)
    .use(injectLambdaContext(logger, { logEvent: false }))
    .use(logMetrics(metrics))
    .onError((request) => {
      request.error = told(request.error)
    })
}

const leftMsOf = (context: Context) => () => context.getRemainingTimeInMillis() - EARLY_MS

/**
 * Returns a function that runs steps until the time is over. Once one step timed out, no other begins: a timer drops fractions of a millisecond, so the context
 * may still report one left.
 */
function timed(context: Context): <T>(run: () => Promise<T>) => Promise<T> {
  let isOver = false
  return async (run) => {
    const { promise, reject } = Promise.withResolvers<never>()
    const left = leftMsOf(context)()
    if (isOver || left <= 0) throw timeError()
    const timer = setTimeout(() => {
      isOver = true
      reject(timeError())
    }, left)
    try {
      return await Promise.race([run(), promise])
    } finally {
      clearTimeout(timer)
    }
  }
}

function timeError(): Error {
  return new SettingError(
    'Cannot finish: the time of the function is over; it is tried again, give it more with "timeout"',
  )
}

function parsed<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw new SettingError(`Cannot read the event: ${z.prettifyError(result.error).replaceAll(/\s+/g, ' ')}`)
}

/** Logs a line that is no outcome of an event, such as one for each request. */
export function logLine(what: string, logFields: Readonly<Record<string, unknown>>): void {
  logger.info(what, logFields)
}

/** Logs an outcome. Throws the error that stopped it. */
function ended({ logFields, counts = {}, error = null }: RunOutcome): void {
  logger.info('done', logFields)
  for (const [name, count] of Object.entries(counts)) metrics.addMetric(name, MetricUnit.Count, count)
  if (error !== null) throw error
}

/** Logs an error, and returns what Lambda may see of it: an SDK's error contains requests, answers and their headers. */
function told(error: unknown): Error {
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error))
  // Only a programming error has a useful stack.
  const isFault = ['TypeError', 'RangeError', 'ReferenceError', 'SyntaxError', 'Error'].includes(name)
  logger.error(message, { failure: name, ...(isFault ? { stack } : {}) })
  const plain = new Error(message)
  plain.name = name
  delete plain.stack
  return plain
}
