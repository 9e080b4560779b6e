import type { Command } from 'commander'
import { webhookPost } from '../lib/deliver/webhook.ts'
import { toJson } from '../lib/report/json.ts'
import { printable } from '../lib/report/printable.ts'
import { alertDue, type ChannelAlerts } from '../lib/run/alert.ts'
import { chosenChannels } from './channels.ts'
import { type Console, FailedError } from './console.ts'
import { MAIL_HELP, openMail, publishAlert } from './mail.ts'
import { openStore } from './store.ts'
import { readTime, readUrl } from './values.ts'

type AlertOptions = {
  readonly channel?: string
  readonly mail?: string
  readonly url?: string
  readonly now?: string
  readonly json?: boolean
  readonly store?: string
}

/** Whom a mail is from that is never sent. */
const NOBODY = { name: 'ciphertrail', address: 'ciphertrail@example.invalid' }

/** Adds `ciphertrail alert`. */
export function addAlert(program: Command, console: Console): void {
  program
    .command('alert')
    .summary('tell channels at once of what cannot wait')
    .description(
      'Tells each channel with alerts what began and what ended since it was told last: a path that is not encrypted, newly or again, a cluster of which two windows in a row were not observed, a certificate or trust anchor about to end, a log that nobody seals. All of it in one message, each thing once, and what comes and goes at most once in six hours. Run it after each collect; "ciphertrail run" does.',
    )
    .option('--channel <id>', 'only this channel')
    .option('--mail <file>', 'settings of the server of mail (default CIPHERTRAIL_MAIL, else only webhooks are told)')
    .option('--url <url>', 'where people reach the pages, for the links (default CIPHERTRAIL_URL, else no links)')
    .option('--now <time>', 'take this for the present: for replays')
    .option('--json', 'one JSON object for each channel')
    .addHelpText(
      'after',
      `\nExample:\n  ciphertrail alert --mail mail.json\n\n${MAIL_HELP}\n\nA webhook gets JSON by POST, with the headers ciphertrail-id (the same\nwhen it comes twice) and ciphertrail-signature: t=SECONDS,v1=HEX, where HEX is\nHMAC-SHA256 of "SECONDS.BODY" under the secret.\n\nExit code 1 if anything was not told.`,
    )
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<AlertOptions>()
      const objects = openStore(options, console)
      if (options.channel !== undefined) await chosenChannels(options.channel, objects)
      const file = options.mail ?? console.config.mail
      const mail = file === undefined ? null : await openMail(file)
      const given = options.now === undefined ? undefined : new Date(readTime('--now', options.now))
      const now = given === undefined ? console.now : () => given
      const outcomes = await alertDue(
        {
          at: now(),
          url: readUrl(options.url ?? console.config.url),
          from: mail?.from ?? NOBODY,
          ...(options.channel === undefined ? {} : { channel: options.channel }),
        },
        {
          objects,
          now,
          send: mail?.send ?? null,
          post: webhookPost(console.config.allowedNetworks),
          publish: publishAlert,
        },
      )
      for (const outcome of outcomes) {
        if (options.json === true) console.out(toJson(outcome))
        else for (const line of outcomeLines(outcome)) console.out(printable(line))
      }
      if (options.json !== true && outcomes.length === 0) console.err('No channel has alerts.')
      if (outcomes.some(({ problem, tried }) => problem !== null || tried.some(({ status }) => status !== 'sent')))
        throw new FailedError()
    })
}

function outcomeLines({ channel, notice, tried, problem }: ChannelAlerts): string[] {
  const sent = tried.filter(({ status }) => status === 'sent').length
  return [
    notice === null
      ? `${channel}: nothing new`
      : `${channel}: ${notice.began.length} began, ${notice.ended.length} ended`,
    ...(notice?.began ?? []).map(({ line }) => `  ${line}`),
    ...(notice?.ended ?? []).map(({ line }) => `  over: ${line}`),
    ...(tried.length === 0 ? [] : [`  told ${sent} of ${tried.length}`]),
    ...tried.flatMap(({ recipient, status, detail }) =>
      status === 'sent' ? [] : [`  ${recipient} ${status}: ${detail ?? ''}`],
    ),
    ...(problem === null ? [] : [`  ${problem}`]),
  ]
}
