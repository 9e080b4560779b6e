import type { Command } from 'commander'
import { webhookPost } from '../../lib/deliver/send/webhook.ts'
import { toJson } from '../../lib/text/format-json.ts'
import { printable } from '../../lib/text/printable.ts'
import { alertDue, type ChannelAlerts } from '../../lib/jobs/alert-channels.ts'
import { type ChannelPosts, postReports } from '../../lib/jobs/post-reports.ts'
import { type Console, FailedError } from '../console.ts'
import { addSendOptions, MAIL_HELP, publishAlert, readSendOptions, type SendOptions } from '../mail-settings.ts'
import { openStore } from '../open-store.ts'

/** Adds `ciphertrail alert`. */
export function addAlert(program: Command, console: Console): void {
  addSendOptions(
    program
      .command('alert')
      .summary('send alerts to channels')
      .description(
        'Tells each channel with alerts what began and what ended since it was told last: a path that is not encrypted, newly or again, a cluster of which two windows in a row were not observed, a certificate or trust anchor about to end, a log that nobody seals. All of it in one message, each thing once, and what comes and goes at most once in six hours. Run it after each collect; "ciphertrail run" does.',
      ),
    'only webhooks and topics are told',
  )
    .addHelpText(
      'after',
      `\nExample:\n  ciphertrail alert --mail mail.json\n\n${MAIL_HELP}\n\nA webhook gets JSON by POST, with the headers ciphertrail-id (the same when it\ncomes twice) and ciphertrail-signature: t=SECONDS,v1=HEX, where HEX is\nHMAC-SHA256 of "SECONDS.BODY" under the secret. One with the format\nocsf or oscal gets the report of each week instead, where the store keeps one.\n\nExit code 1 if anything was not told.`,
    )
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<SendOptions>()
      const objects = openStore(options, console)
      const { mail, now, ...rest } = await readSendOptions(options, console, objects)
      const post = webhookPost(console.config.allowedNetworks)
      const outcomes = await alertDue({ at: now(), ...rest }, { objects, now, mail, post, publish: publishAlert })
      for (const outcome of outcomes) {
        if (options.json === true) console.out(toJson(outcome))
        else for (const line of outcomeLines(outcome)) console.out(printable(line))
      }
      const posts = await postReports(
        { at: now(), ...(rest.channel === undefined ? {} : { channel: rest.channel }) },
        { objects, now, post },
      )
      for (const outcome of posts) {
        if (options.json === true) console.out(toJson(outcome))
        else for (const line of postLines(outcome)) console.out(printable(line))
      }
      if (options.json !== true && outcomes.length + posts.length === 0) console.err('No channel has alerts.')
      if (
        [...outcomes, ...posts].some(
          ({ problem, tried }) => problem !== null || tried.some(({ status }) => status !== 'sent'),
        )
      )
        throw new FailedError()
    })
}

function postLines({ channel, tried, problem }: ChannelPosts): string[] {
  const sent = tried.filter(({ status }) => status === 'sent').length
  return [
    tried.length === 0
      ? `${channel}: no report to post`
      : `${channel}: ${sent} of ${tried.length} pieces of reports posted`,
    ...tried.flatMap(({ period, status, detail }) =>
      status === 'sent' ? [] : [`  ${period} ${status}: ${detail ?? ''}`],
    ),
    ...(problem === null ? [] : [`  ${problem}`]),
  ]
}

function outcomeLines({ channel, notice, tried, problem }: ChannelAlerts): string[] {
  const sent = tried.filter(({ status }) => status === 'sent').length
  return [
    notice === null
      ? `${channel}: nothing new`
      : `${channel}: ${notice.began.length} began, ${notice.ended.length} ended`,
    ...(notice?.began ?? []).flatMap(({ line, details }) => [`  ${line}`, ...details.map((detail) => `    ${detail}`)]),
    ...(notice?.ended ?? []).map(({ line, ending }) => `  ended (${ending}): ${line}`),
    ...(tried.length === 0 ? [] : [`  told ${sent} of ${tried.length}`]),
    ...tried.flatMap(({ recipient, status, detail }) =>
      status === 'sent' ? [] : [`  ${recipient} ${status}: ${detail ?? ''}`],
    ),
    ...(problem === null ? [] : [`  ${problem}`]),
  ]
}
