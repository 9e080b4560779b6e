/** Mail by Amazon SES (version 2 of its API), with credentials from the environment. */
import { SESv2Client, SendEmailCommand } from '@aws-sdk/client-sesv2'
import { printable } from '../../text/printable.ts'
import { NotSentError, type Refusal, type SendMail, withoutAddress } from './send.ts'

/** Region and settings of SES. */
export type SesSettings = {
  readonly region: string
  /** Configuration set, which decides where SES sends bounces and complaints; null: nowhere. */
  readonly configurationSet: string | null
}

/** Permanent errors about the address or the message. */
const FINAL = ['MessageRejected', 'BadRequestException']

/** "Maximum sending rate exceeded" is per second, "Daily message quota exceeded" per day. */
const OF_PACE = ['TooManyRequestsException', 'ThrottlingException', 'Throttling', 'LimitExceededException']
const OF_DAY = /\b(daily|quota)\b/i

/** About the sender: an identity that is not verified yet, or an account in the sandbox; verifying fixes it. */
const ABOUT_US = /not verified/i

/** Longer than SES takes; an unanswered message may have been accepted. */
const TIMEOUT_MS = 30_000

/** Without a route to SES, as in a VPC without an endpoint, packets are dropped: then no request was sent. */
const CONNECT_TIMEOUT_MS = 5_000

/** No request was sent to SES before these errors. */
const NEVER_ASKED = ['CredentialsProviderError', 'TokenProviderError']
const NEVER_CONNECTED = ['connect', 'getaddrinfo']

/** Sends through SES, once: the SDK's own retry could be a second mail if the first was accepted and its answer lost. */
export function sesMail({ region, configurationSet }: SesSettings): SendMail {
  const client = new SESv2Client({
    region,
    maxAttempts: 1,
    requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS },
  })
  return async ({ from, to, message, tags }) => {
    try {
      const { MessageId: id } = await client.send(
        new SendEmailCommand({
          FromEmailAddress: from,
          Destination: { ToAddresses: [to] },
          Content: { Raw: { Data: message } },
          // Overrides the account and the configuration set: a link in a mail is a secret, and tracking would route each through a URL of SES.
          ConfigurationOverrides: { Tracking: { OpenTrackingEnabled: 'DISABLED', ClickTrackingEnabled: 'DISABLED' } },
          EmailTags: Object.entries(tags).map(([Name, Value]) => ({ Name, Value })),
          ...(configurationSet === null ? {} : { ConfigurationSetName: configurationSet }),
        }),
        { abortSignal: AbortSignal.timeout(TIMEOUT_MS) },
      )
      return printable(id ?? 'taken').slice(0, 200)
    } catch (error) {
      throw failureOf(error, to)
    }
  }
}

function failureOf(error: unknown, to: string): Error {
  if (!(error instanceof Error)) return new Error('the SDK failed')
  const line = printable(`${error.name}: ${withoutAddress(error.message, to).split('\n')[0] ?? ''}`).slice(0, 300)
  const { $metadata: metadata } = error as { $metadata?: { httpStatusCode?: number } }
  const status = metadata?.httpStatusCode ?? 0
  const isRefused = status >= 400 && status < 500
  if (isRefused) return new NotSentError(line, refusalOf(error), { cause: error })
  if (NEVER_ASKED.includes(error.name) || isUnconnected(error))
    return new NotSentError(line, 'for-now', { cause: error })
  return new Error(line, { cause: error })
}

/** Limits of the account per second or per day, unrelated to this mail. */
function refusalOf({ name, message }: Error): Refusal {
  if (OF_PACE.includes(name)) return OF_DAY.test(message) ? 'quota' : 'too-fast'
  return FINAL.includes(name) && !ABOUT_US.test(message) ? 'for-good' : 'for-now'
}

/** Whether there was no connection yet: each of several addresses of one name has failed. */
function isUnconnected(error: Error): boolean {
  if (error instanceof AggregateError) return error.errors.every((one) => one instanceof Error && isUnconnected(one))
  if ('syscall' in error) return NEVER_CONNECTED.includes(String(error.syscall))
  return error.name === 'TimeoutError' && error.message.includes('did not establish a connection')
}
