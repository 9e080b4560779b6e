/**
 * Sends urgent alerts to channels, and then the reports of weeks to the webhooks that want them. Started every few minutes, after `plan` has had the ended
 * windows collected.
 */
import { readConfig } from '../lib/config.ts'
import { readChannels } from '../lib/deliver/channel/channels.ts'
import { mailOnAws } from '../lib/deliver/send/on-aws.ts'
import { retryThrottled } from '../lib/deliver/send/throttling.ts'
import { snsPublish } from '../lib/deliver/send/sns.ts'
import { webhookPost } from '../lib/deliver/send/webhook.ts'
import { alertDue } from '../lib/jobs/alert-channels.ts'
import { postReports } from '../lib/jobs/post-reports.ts'
import { rememberEvidence } from '../lib/store/evidence/find-evidence.ts'
import type { Objects } from '../lib/store/objects/objects.ts'
import type { Memory } from '../lib/history/recent.ts'
import { errorLine } from '../lib/text/error-line.ts'
import { onSchedule } from './lambda.ts'

const mail = mailOnAws(readConfig())
const post = webhookPost(readConfig().allowedNetworks, { hasFiles: false })

/** With less time left than this nothing is started: longer than one message takes at most, plus a webhook and a topic. */
const MIN_MS = 90_000

/** Reports are posted for at most this time, so that a slow receiver does not hold up the line that tells of alerts. */
const POSTING_MS = 240_000

/** Notices and reports with nothing left to do. */
const settled = new Set<string>()

/** Results read from clusters, so that a warm container reads each result once. */
const memory: Memory = new Map()

/** Of the warm container: what was found of evidence counts for some minutes. */
let remembered: Objects | undefined

// Uses the clock, not the time of the event: a late event must not report a state from before the last look.
export const handler = onSchedule(async (_, { objects: stored }, leftMs) => {
  const objects = (remembered ??= rememberEvidence(stored, () => new Date()))
  const now = () => new Date()
  const outcomes = await alertDue(
    { at: now(), url: mail?.url ?? null },
    {
      objects,
      now,
      mail: mail === null ? null : retryThrottled(mail, { mayWait: (ms) => leftMs() - ms > MIN_MS }),
      post,
      publish: snsPublish,
      settled,
      memory,
    },
  )
  const enough = leftMs() - POSTING_MS
  // What became of alerts is told whatever becomes of reports.
  const posts = await postReports(
    { at: now() },
    { objects, now, post, settled, isOver: () => leftMs() < Math.max(MIN_MS, enough) },
  ).catch((error: unknown) => [{ channel: 'reports', tried: [], problem: errorLine(error) }])
  const posted = posts.flatMap((outcome) => outcome.tried)
  const tried = outcomes.flatMap((outcome) => outcome.tried)
  const sent = tried.filter(({ status }) => status === 'sent').length
  const notices = outcomes.flatMap(({ notice }) => notice ?? [])
  const told = [...outcomes, ...posts].flatMap(({ channel, problem }) =>
    problem === null ? [] : [[channel, problem] as const],
  )
  const silent = mail === null ? await withoutSender(objects) : []
  // One line for each channel, whatever is missing.
  const problems = [...Map.groupBy([...silent, ...told], ([channel]) => channel)].map(
    ([channel, all]) => `${channel}: ${all.map(([, problem]) => problem).join('; ')}`,
  )
  const reasons = new Set([...tried, ...posted].flatMap(({ status, detail }) => (status === 'sent' ? [] : [detail])))
  return {
    logFields: {
      channels: outcomes.length,
      began: notices.flatMap(({ began }) => began).length,
      ended: notices.flatMap(({ ended }) => ended).length,
      sent,
      left: tried.length - sent,
      posted: posted.filter(({ status }) => status === 'sent').length,
      notPosted: posted.filter(({ status }) => status !== 'sent').length,
      reasons: [...reasons],
      problems,
    },
    counts: {
      Alerts: notices.length,
      AlertMessages: sent,
      AlertsNotTold: tried.length - sent,
      AlertProblems: problems.length,
    },
  }
})

/** The channels whose alert mails cannot be sent because no sender is configured. */
async function withoutSender(objects: Objects): Promise<(readonly [channel: string, problem: string])[]> {
  const silent = (await readChannels(objects)).filter(({ hasAlerts, recipients }) => hasAlerts && recipients.length > 0)
  const problem = 'no mail is sent, since nobody is named whom it is from; deploy with the parameter mail-from'
  return silent.map(({ id }) => [id, problem] as const)
}
