import type { Command } from 'commander'
import { readSecret } from '../../../lib/net/credential-files.ts'
import { timeOf } from '../../../lib/time/windows.ts'
import type { Cluster } from '../../../lib/model/registry.ts'
import { type Channel, ChannelError, givesReport, reportWebhook } from '../../../lib/deliver/channel/channel.ts'
import { addChannel, readChannels, removeChannel } from '../../../lib/deliver/channel/channels.ts'
import { checkChannel } from '../../../lib/deliver/channel/check-channels.ts'
import { type Recipients, readRecipients } from '../../../lib/deliver/channel/recipients.ts'
import { toJson } from '../../../lib/text/format-json.ts'
import {
  liftSuppression,
  readSuppressions,
  suppress,
  suppressionOf,
} from '../../../lib/deliver/channel/suppressions.ts'
import type { Suppression } from '../../../lib/deliver/channel/suppressions.ts'
import { printable } from '../../../lib/text/printable.ts'
import { historyProblem } from '../../../lib/history/history-problem.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { readHistory } from '../../../lib/history/cluster-state.ts'
import { lastWeekReport } from '../../../lib/store/evidence/report-records.ts'
import { readClusters } from '../../../lib/store/registry/registry.ts'
import { addChannelLinks } from './channel-links.ts'
import { addChannelPreview } from './channel-preview.ts'
import { chosenChannels } from '../../find-channel.ts'
import { type Console, FailedError, UsageError } from '../../console.ts'
import { isSharedStore, openStore, placeOf, rightsFix } from '../../open-store.ts'
import { tableLines } from '../../terminal-table.ts'
import { collectValues, readNow } from '../../option-values.ts'
import { SetupError } from '../../../lib/net/errors.ts'
import type { AddChannelOptions, StoreOptions } from './channel-options.ts'
import { optionsOf, refuseWebhook } from './channel-options.ts'

type RecipientOptions = StoreOptions & { readonly to: string }

/** Why somebody gets no mail of any channel. Whoever left one says so by the link in a mail. */
const BY_HAND = ['bounced', 'complained'] as const

/** Adds `ciphertrail channel add|list|check|preview|links|revoke|suppress|resume|remove`. */
export function addChannelCommands(program: Command, console: Console): void {
  const channel = program
    .command('channel')
    .summary('who gets the weekly mail, and of what')
    .description(
      'Channels say who gets mail of which clusters and namespaces, on which clock. Each change is recorded with who and when, and sealed; recipients stand there as pseudonyms, and their addresses in one place from which they are forgotten when they leave the last channel.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail channel add payments --namespace "pay-*" --to ada@example.com \\\n      --time-zone Europe/Berlin\n  ciphertrail channel check payments\n  ciphertrail channel list',
    )

  channel
    .command('add')
    .summary('add a channel, or change what is given of one')
    .description(
      'Adds a channel, or changes what is given of one that is there. A list that is given takes the place of the one before. A path belongs to a channel if either of its ends is in one of the namespaces.',
    )
    .argument('<id>', '1 to 63 of a-z, 0-9 and "-"')
    .option('--to <address>', 'who gets it (may be repeated)', collectValues)
    .option('--cluster <id>', 'only this cluster (may be repeated); default all that are registered', collectValues)
    .option('--all-clusters', 'every registered cluster again')
    .option('--namespace <pattern>', 'only this namespace, such as pay-* (may be repeated)', collectValues)
    .option('--all-namespaces', 'every namespace again')
    .option('--team <name>', 'for whom it is, as the subject says it; it narrows nothing')
    .option('--time-zone <zone>', 'IANA time zone of its weeks and times (default UTC)')
    .option('--at <time>', 'when it is sent on Monday, on that clock (default 07:00)')
    .option('--language <tag>', 'language that its mails declare, such as en-GB (default en)')
    .option('--format <format>', 'html (with a part in plain text) or text (default html)')
    .option('--alerts <on|off>', 'send alerts to its recipients at once (default on)')
    .option('--webhook <url>', 'post alerts to this https address, too; it is recorded, so put no secret into it')
    .option('--webhook-secret-file <file>', '... signed by the secret in this file')
    .option('--webhook-secret <arn>', '... or by this secret of AWS Secrets Manager, as a function on AWS needs')
    .option(
      '--webhook-format <format>',
      'alert: alerts; ocsf or oscal: instead of them the report of each week, in pieces (default alert)',
    )
    .option('--no-webhook', 'post them nowhere any more')
    .option('--sns <arn>', 'publish alerts to this topic of Amazon SNS, too')
    .option('--no-sns', 'publish them nowhere any more')
    .option(
      '--download-links <on|off>',
      'give each recipient a link to download the report without login, for 30 days (default off; only for all clusters and namespaces)',
    )
    .option('--attach-pdf <on|off>', 'attach the report as a PDF (default off; only for all clusters and namespaces)')
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail channel add everything --to ada@example.com --to grc@example.com\n  ciphertrail channel add siem --webhook https://siem.example.com/ocsf \\\n      --webhook-secret-file siem.secret --webhook-format ocsf\n  ciphertrail channel add payments --cluster prod --namespace "pay-*" \\\n      --to pay@example.com --time-zone Europe/Berlin --at 08:30',
    )
    .action(async (id: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<AddChannelOptions>()
      refuseWebhook(id, options, console)
      const objects = openStore(options, console)
      try {
        const author = { now: console.now(), by: console.user }
        const outcome = await addChannel(optionsOf(id, options), author, objects)
        if (options.json === true) console.out(toJson({ channel: id, outcome }))
        else console.out(`Channel "${id}" ${outcome}. Next: ciphertrail channel check ${id}`)
        // Addresses are in it now.
        const place = placeOf(options, console.config)
        const fix = await rightsFix(place)
        if (fix !== null) console.err(`WARNING: store "${printable(place)}": ${fix}`)
      } catch (error) {
        throw error instanceof ChannelError ? new UsageError(printable(error.message)) : error
      }
    })

  channel
    .command('list')
    .summary('list the channels')
    .option('--json', 'one JSON object a line, with the addresses of its recipients')
    .addHelpText('after', '\nExample:\n  ciphertrail channel list --json')
    .action(async (_: unknown, command: Command) => {
      const { json, store } = command.optsWithGlobals<StoreOptions>()
      const objects = openStore({ store }, console)
      const channels = await readChannels(objects)
      const recipients = await readRecipients(objects)
      const suppressions = await readSuppressions(objects)
      if (json === true) for (const one of channels) console.out(toJson(withAddresses(one, recipients, suppressions)))
      else if (channels.length === 0)
        console.err('There is no channel. Add one with "ciphertrail channel add ID --to ADDRESS"')
      else
        for (const line of tableLines(channels, [
          { heading: 'ID', text: ({ id }) => id },
          { heading: 'CLUSTERS', text: ({ clusters }) => clusters.join(', ') || 'all' },
          { heading: 'NAMESPACES', text: ({ namespaces }) => namespaces.join(', ') || 'all' },
          { heading: 'MONDAY', text: ({ sendAt, timeZone }) => `${sendAt} ${timeZone}` },
          {
            heading: 'FORMAT',
            text: ({ format, downloadsSince, attachesPdf }) =>
              [format, ...(downloadsSince === null ? [] : ['link']), ...(attachesPdf ? ['pdf'] : [])].join('+'),
          },
          { heading: 'TEAM', text: ({ team }) => team ?? '-' },
          {
            heading: 'TO',
            text: (one) =>
              withAddresses(one, recipients, suppressions)
                .recipients.map(
                  ({ address, suppressed }) => `${address ?? '(lost)'}${suppressed === null ? '' : ` (${suppressed})`}`,
                )
                .join(', ') || 'nobody',
          },
        ]))
          console.out(line)
    })

  channel
    .command('remove')
    .summary('take a channel away, and forget addresses that no other has')
    .argument('<id>', 'a channel')
    .option('--json', 'one JSON object')
    .addHelpText('after', '\nExample:\n  ciphertrail channel remove payments')
    .action(async (id: string, _: unknown, command: Command) => {
      const { json, store } = command.optsWithGlobals<StoreOptions>()
      const objects = openStore({ store }, console)
      if (!(await removeChannel(id, { now: console.now(), by: console.user }, objects)))
        throw new UsageError(`Cannot remove channel "${printable(id)}": there is none of that name`)
      if (json === true) console.out(toJson({ channel: id, outcome: 'removed' }))
      else console.out(`Channel "${id}" removed`)
    })

  addChannelPreview(channel, console)
  addChannelLinks(channel, console)

  channel
    .command('suppress')
    .summary('send no mail to a recipient whose mail came back, or who complained')
    .description(
      'Says that a recipient of a channel gets no mail of any channel, until "ciphertrail channel resume" takes it back. This happens by itself where the server of mail says at once that nobody has the address, and in the service on AWS by what Amazon SES reports; what else comes back to the mailbox of the sender is learnt by whoever reads it.',
    )
    .argument('<id>', 'a channel')
    .requiredOption('--to <address>', 'who gets none')
    .requiredOption('--reason <reason>', BY_HAND.join(' or '))
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      '\nExample:\n  ciphertrail channel suppress payments --to ada@example.com --reason bounced\n\nIf nobody is left who gets the mail of a channel, "ciphertrail channel check"\nfails.',
    )
    .action(async (id: string, _: unknown, command: Command) => {
      const { json, store, ...given } = command.optsWithGlobals<RecipientOptions & { readonly reason: string }>()
      const reason = BY_HAND.find((one) => one === given.reason)
      if (reason === undefined)
        throw new UsageError(
          `Cannot suppress mail for reason "${printable(given.reason)}": wanted ${BY_HAND.join(' or ')}`,
        )
      const objects = openStore({ store }, console)
      const recipient = await recipientOf(id, given.to, 'suppress', objects)
      const isNew = await suppress({ recipient, channel: null, reason }, console.now(), objects)
      const outcome = isNew ? 'suppressed' : 'unchanged'
      if (json === true) console.out(toJson({ channel: id, recipient, reason, outcome }))
      else console.out(`Mail to that recipient ${isNew ? 'suppressed in every channel' : 'was suppressed before'}`)
    })

  channel
    .command('resume')
    .summary('let a recipient have mail again who left, or whose mail came back')
    .description(
      'Takes back that a recipient of a channel gets no mail: who unsubscribed from it, or (from every channel) whose server refused mail or who complained. Ask them first.',
    )
    .argument('<id>', 'a channel')
    .requiredOption('--to <address>', 'who gets it again')
    .option('--json', 'one JSON object')
    .addHelpText('after', '\nExample:\n  ciphertrail channel resume payments --to ada@example.com')
    .action(async (id: string, _: unknown, command: Command) => {
      const { json, store, to } = command.optsWithGlobals<RecipientOptions>()
      const objects = openStore({ store }, console)
      const recipient = await recipientOf(id, to, 'resume', objects)
      const isSilenced = suppressionOf(await readSuppressions(objects), recipient, id) !== undefined
      if (isSilenced) for (const channel of [id, null]) await liftSuppression(recipient, channel, objects)
      const outcome = isSilenced ? 'resumed' : 'unchanged'
      if (json === true) console.out(toJson({ channel: id, recipient, outcome }))
      else if (isSilenced) console.out(`Mail of channel "${id}" to that recipient resumed`)
      else console.out(`Mail of channel "${id}" to that recipient was not suppressed`)
    })

  channel
    .command('check')
    .summary('check whether a channel will say anything, and reach anybody')
    .description(
      'Compares what channels name with what is registered and was seen, and says when the next mail is due. What fails has a hint (×); what works but should be looked at has one, too (‼). Nothing is sent.',
    )
    .argument('[id]', 'a channel (default all)')
    .option('--now <time>', 'take this for the present: for replays')
    .option('--json', 'one JSON object for each check')
    .addHelpText('after', '\nExample:\n  ciphertrail channel check payments\n\nExit code 1 if any check failed.')
    .action(async (id: string | undefined, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<StoreOptions & { readonly now?: string }>()
      const now = timeOf(readNow(options, console))
      const objects = openStore(options, console)
      const channels = await chosenChannels(id, objects)
      const clusters = await readClusters({ objects })
      const around = {
        clusters: clusters.map((one) => one.id),
        recipients: await readRecipients(objects),
        suppressions: await readSuppressions(objects),
        namespaces: await seenNamespaces(
          clusters.filter((one) => channels.some((channel) => isAsked(channel, one.id))),
          objects,
        ),
        lastReport: channels.some((one) => givesReport(one) || reportWebhook(one) !== null)
          ? await lastWeekReport(objects)
          : null,
        unreadSecrets: await unreadSecrets(channels),
        isShared: isSharedStore(options, console),
        now,
      }
      let isFailed = false
      for (const [index, one] of channels.entries()) {
        if (options.json !== true) for (const line of [...(index === 0 ? [] : ['']), one.id]) console.out(line)
        for (const { title, problem, warning } of checkChannel(one, around)) {
          isFailed ||= problem !== null
          if (options.json === true)
            console.out(toJson({ channel: one.id, check: title, ok: problem === null, problem, warning }))
          else for (const line of checkLines(title, problem, warning, console)) console.out(line)
        }
      }
      if (isFailed) throw new FailedError()
    })
}

/** Why secret files of webhooks cannot be read here, by id of their channel. */
async function unreadSecrets(channels: readonly Channel[]): Promise<ReadonlyMap<string, string>> {
  const unread = new Map<string, string>()
  for (const { id, webhook } of channels) {
    if (webhook?.secretFile === undefined) continue
    try {
      await readSecret(webhook.secretFile, 'its secret file')
    } catch (error) {
      if (!(error instanceof SetupError)) throw error
      unread.set(id, error.message)
    }
  }
  return unread
}

/** The pseudonym of a recipient of a channel. Throws UsageError, which does not quote the address. */
async function recipientOf(id: string, to: string, what: string, objects: Objects): Promise<string> {
  const [one] = await chosenChannels(id, objects)
  const recipients = await readRecipients(objects)
  const recipient = one?.recipients.find((known) => recipients.get(known)?.toLowerCase() === to.toLowerCase())
  if (recipient !== undefined) return recipient
  throw new UsageError(`Cannot ${what} mail of channel "${printable(id)}": that address is none of its recipients`)
}

const isAsked = ({ clusters }: Channel, cluster: string): boolean => clusters.length === 0 || clusters.includes(cluster)

/** Namespaces at either end of any path that was ever seen; a cluster whose history cannot be read is absent. */
async function seenNamespaces(
  clusters: readonly Cluster[],
  objects: Objects,
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const seen = new Map<string, ReadonlySet<string>>()
  for (const cluster of clusters) {
    if ((await historyProblem(cluster, objects)) !== undefined) continue
    const history = await readHistory(cluster.id, objects)
    if (history === undefined || history.months.length === 0) continue
    const ends = history.months.flatMap(({ intervals }) =>
      intervals.flatMap(({ source, destination }) => [source.namespace, destination.namespace]),
    )
    seen.set(cluster.id, new Set(ends))
  }
  return seen
}

/** The channel with what each pseudonym stands for (null where the address is lost), and why somebody gets no mail (null where they do). */
function withAddresses(channel: Channel, recipients: Recipients, suppressions: readonly Suppression[]) {
  return {
    ...channel,
    recipients: channel.recipients.map((pseudonym) => ({
      pseudonym,
      address: recipients.get(pseudonym) ?? null,
      suppressed: suppressionOf(suppressions, pseudonym, channel.id)?.reason ?? null,
    })),
  }
}

function checkLines(title: string, problem: string | null, warning: string | null, { colors }: Console): string[] {
  if (problem !== null) return [`${colors.red('×')} ${title}`, `    ${problem}`]
  if (warning !== null) return [`${colors.yellow('‼')} ${title}`, `    ${warning}`]
  return [`${colors.green('√')} ${title}`]
}
