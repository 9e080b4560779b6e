import type { Command } from 'commander'
import { readChannels } from '../../lib/deliver/channel/channels.ts'
import { type Delivery, DELIVERY_STATUSES, listDeliveries } from '../../lib/deliver/send/claims.ts'
import { removeOldDownloads } from '../../lib/deliver/link/downloads.ts'
import { readRecipients } from '../../lib/deliver/channel/recipients.ts'
import { countSuppressed, suppressedWords } from '../../lib/deliver/channel/suppressions.ts'
import { toJson } from '../../lib/text/format-json.ts'
import { StoreError } from '../../lib/store/objects/objects.ts'
import { printable } from '../../lib/text/printable.ts'
import { type ChannelDelivery, deliverDue } from '../../lib/jobs/mail/deliver-mails.ts'
import { type Console, FailedError, UsageError } from '../console.ts'
import { addSendOptions, MAIL_HELP, readSendOptions, type SendOptions } from '../mail-settings.ts'
import { openStore } from '../open-store.ts'
import { tableLines } from '../terminal-table.ts'
import { readNow, readWeek } from '../option-values.ts'
import { DELIVERY_KINDS } from '../../lib/store/delivery-keys.ts'

/** Adds `ciphertrail deliver` and `ciphertrail deliveries`. */
export function addDeliver(program: Command, console: Console): void {
  addSendOptions(
    program
      .command('deliver')
      .summary('send every weekly mail that is due')
      .description(
        'Sends the mail of the last week to the recipients of each channel whose hour has come, over SMTP with TLS or by Amazon SES. Each mail is claimed before it is sent: run it as often as you like, and twice at once, nobody gets one twice. What may or may not have gone is listed as unknown and never sent again by itself.',
      ),
  )
    .addHelpText(
      'after',
      `\nExample:\n  ciphertrail deliver --mail mail.json --url https://ciphertrail.example.com\n\n${MAIL_HELP}\n\nExit code 1 if any mail was not sent by this run; "ciphertrail deliveries" says\nto whom. What is unknown of an earlier run is told again with each, and was\na failure of that one.`,
    )
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<SendOptions>()
      const { json = false } = options
      const objects = openStore(options, console)
      const { mail, now, ...rest } = await readSendOptions(options, console, objects)
      if (mail === null)
        throw new UsageError('Cannot send mail: no settings are given, name a file with --mail or CIPHERTRAIL_MAIL')
      const { from, send } = mail
      console.progress('Sending what is due')
      const outcomes = await deliverDue({ at: now(), version: console.version, from, ...rest }, { objects, send, now })
      console.progressEnd()
      for (const outcome of outcomes) {
        if (json) console.out(toJson(outcome))
        else for (const line of outcomeLines(outcome)) console.out(printable(line))
      }
      if (!json && outcomes.length === 0)
        console.err('There is no channel. Add one with "ciphertrail channel add ID --to ADDRESS"')
      // Whoever makes links takes old ones away. By the clock, and not by --now: those that work stay.
      if (outcomes.some(({ tried }) => tried.length > 0))
        await removeOldDownloads(console.now(), objects).catch((error: unknown) => {
          if (!(error instanceof StoreError)) throw error
          console.err(error.message)
        })
      if (outcomes.some(isFailed)) throw new FailedError()
    })

  program
    .command('deliveries')
    .summary('mail delivery status')
    .description(
      'Lists each mail that was claimed: sent (a server took it), failed (none did; it is tried again where that helps), unknown (a server may have taken it, or it may have come back), claimed (somebody is about to send it), bounced (the server said that nobody has the address, and the recipient gets no more). What Amazon SES reports later takes the place of sent: bounced (it came back for good, and the recipient gets no more), complained (its recipient called it unwanted, and gets no more).',
    )
    .option(
      '--kind <kind>',
      'week: the weekly mails; alert: alerts, by their ids; report: pieces of reports that webhooks get (default week)',
    )
    .option('--week <week>', 'only of this ISO week, of weekly mails')
    .option('--channel <id>', 'only of this channel')
    .option('--status <status>', `only ${DELIVERY_STATUSES.join(', ')}`)
    .option('--now <time>', 'take this for the present: for replays')
    .option('--json', 'one JSON object a line')
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail deliveries --week 2026-W47\n  ciphertrail deliveries --status unknown --json\n  ciphertrail deliveries --kind alert --status bounced',
    )
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<ListOptions>()
      const { week, channel, status } = options
      const kind = DELIVERY_KINDS.find((one) => one === (options.kind ?? 'week'))
      if (kind === undefined)
        throw new UsageError(`Cannot list kind "${printable(options.kind ?? '')}": wanted week, alert or report`)
      if (status !== undefined && !DELIVERY_STATUSES.some((one) => one === status))
        throw new UsageError(
          `Cannot filter by status "${printable(status)}": wanted one of ${DELIVERY_STATUSES.join(', ')}`,
        )
      if (week !== undefined && kind !== 'week')
        throw new UsageError(
          `Cannot list ${kind}s of week "${printable(week)}": ${kind}s are not named by a week, leave --week out`,
        )
      if (week !== undefined) readWeek(week, 'UTC')
      const objects = openStore(options, console)
      const now = readNow(options, console)
      const recipients = await readRecipients(objects)
      const rows: (Delivery & { readonly address: string | null })[] = []
      let claimed = 0
      for await (const delivery of listDeliveries(kind, now, objects)) {
        claimed++
        if (week !== undefined && delivery.period !== week) continue
        if (channel !== undefined && delivery.channel !== channel) continue
        if (status !== undefined && delivery.status !== status) continue
        rows.push({ ...delivery, address: recipients.get(delivery.recipient) ?? null })
      }
      const noun = { week: 'mail', alert: 'alert', report: 'piece of a report' }[kind]
      if (options.json === true) for (const row of rows) console.out(toJson(row))
      else if (rows.length === 0)
        console.err(
          claimed === 0
            ? `No ${noun} was claimed${(await readChannels(objects)).length === 0 ? ', and there is no channel' : ''}.`
            : `None of the ${claimed} that were claimed is what was asked for.`,
        )
      else
        for (const line of tableLines(rows, [
          { heading: kind.toUpperCase(), text: ({ period }) => period },
          { heading: 'CHANNEL', text: (row) => row.channel },
          {
            heading: 'TO',
            text: ({ address }) =>
              address ?? (kind === 'week' ? '(left every channel)' : '(webhook, topic, or left every channel)'),
          },
          { heading: 'STATUS', text: (row) => row.status },
          { heading: 'AT', text: ({ at }) => at },
          { heading: 'TRIES', text: ({ attempt }) => String(attempt) },
          {
            heading: 'DETAIL',
            text: ({ detail, report, retryAt }) =>
              `${[report, detail].filter((part) => part !== null).join('; ') || '-'}${retryAt === null ? '' : `; tried again after ${retryAt}`}`,
          },
        ]))
          console.out(line)
    })
}

type ListOptions = SendOptions & { readonly kind?: string; readonly week?: string; readonly status?: string }

const isFailed = ({ problem, tried }: ChannelDelivery): boolean =>
  problem !== null || tried.some(({ status }) => status !== 'sent')

function outcomeLines({ channel, week, tried, suppressed, unknown, problem }: ChannelDelivery): string[] {
  if (week === null) return [`${channel}: no mail is due yet`]
  const of = (status: Delivery['status']) => tried.filter((delivery) => delivery.status === status)
  const counts = (['sent', 'failed', 'unknown', 'bounced'] as const).flatMap((status) =>
    of(status).length === 0 ? [] : [`${of(status).length} ${status}`],
  )
  const silent = countSuppressed(suppressed)
  return [
    `${channel}: week ${week}, ${counts.join(', ') || 'nothing to send'}${unknown === null || unknown === 0 ? '' : `; of ${unknown} before it is unknown whether ${unknown === 1 ? 'it' : 'they'} went, and ${unknown === 1 ? 'it is' : 'they are'} not sent again (ciphertrail deliveries --status unknown)`}${silent === 0 ? '' : `; ${silent} get none: ${suppressedWords(suppressed)} (ciphertrail channel check ${channel})`}`,
    ...[...of('failed'), ...of('unknown'), ...of('bounced')].map(
      ({ status, recipient, detail }) => `  ${recipient} ${status}: ${detail ?? 'no reason was given'}`,
    ),
    ...(problem === null ? [] : [`  ${problem}`]),
  ]
}
