import type { Command } from 'commander'
import { readChannels } from '../../../lib/deliver/channel/channels.ts'
import {
  type Download,
  type DownloadEnd,
  downloadEnd,
  linkName,
  listDownloads,
  revokeDownload,
} from '../../../lib/deliver/link/downloads.ts'
import { type Recipients, readRecipients } from '../../../lib/deliver/channel/recipients.ts'
import { readSuppressions, suppressionOf } from '../../../lib/deliver/channel/suppressions.ts'
import { toJson } from '../../../lib/text/format-json.ts'
import { printable } from '../../../lib/text/printable.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { readReport } from '../../../lib/store/evidence/report-records.ts'
import { compareText } from '../../../lib/text/order.ts'
import { chosenChannels } from '../../find-channel.ts'
import { type Console, UsageError } from '../../console.ts'
import { openStore } from '../../open-store.ts'
import { tableLines } from '../../terminal-table.ts'
import { plural } from '../../../lib/report/words/vocabulary.ts'

type LinksOptions = { readonly json?: boolean; readonly store?: string }
type RevokeOptions = LinksOptions & { readonly link?: string; readonly all?: boolean }

/** A link as an operator sees it. */
type Link = {
  readonly download: Download
  /** Null: it works. */
  readonly end: DownloadEnd | null
}

/** Adds `ciphertrail channel links|revoke`. */
export function addChannelLinks(channel: Command, console: Console): void {
  channel
    .command('links')
    .summary('list the links by which recipients download reports')
    .description(
      'Lists the links that the mails of a channel brought (--download-links on), newest first: whose, to which report, until when, whether it works, how often its button was pressed and how often the report behind it was fetched, whose address works for a minute. What opens them stands in the mails alone. One that expired is listed for 60 days more.',
    )
    .argument('<id>', 'a channel')
    .option('--json', 'one JSON object a line')
    .addHelpText('after', '\nExample:\n  ciphertrail channel links grc')
    .action(async (id: string, _: unknown, command: Command) => {
      const { json, store } = command.optsWithGlobals<LinksOptions>()
      const objects = openStore({ store }, console)
      const links = await linksOf(id, objects, console)
      const recipients = await readRecipients(objects)
      const weeks = await weeksOf(links, objects)
      if (json === true) for (const link of links) console.out(toJson(linkJson(link, recipients, weeks)))
      else if (links.length === 0) console.err(`There is no link of channel "${printable(id)}"`)
      else
        for (const line of tableLines(links, [
          { heading: 'LINK', text: ({ download }) => linkName(download.id) },
          { heading: 'TO', text: ({ download }) => recipients.get(download.recipient) ?? '(lost)' },
          { heading: 'REPORT', text: ({ download }) => weeks.get(download.report) ?? '(removed)' },
          { heading: 'UNTIL', text: ({ download }) => download.expiresAt },
          { heading: 'WORKS', text: ({ end }) => (end === null ? 'yes' : `no: ${end}`) },
          { heading: 'USED', text: ({ download }) => String(download.uses) },
          { heading: 'FETCHED', text: ({ download }) => String(download.fetches) },
          { heading: 'LAST', text: ({ download }) => download.usedAt ?? '-' },
        ]))
          console.out(line)
    })

  channel
    .command('revoke')
    .summary('end a link by which a recipient downloads a report, or all of a channel')
    .description('Ends links at once and for good. A download that has begun goes on to its end.')
    .argument('<id>', 'a channel')
    .option('--link <link>', 'this one, as "channel links" names it')
    .option('--all', 'every link of the channel')
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail channel revoke grc --link 0123456789abcdef\n  ciphertrail channel revoke grc --all\n\nTo give no more links: ciphertrail channel add grc --download-links off',
    )
    .action(async (id: string, _: unknown, command: Command) => {
      const { json, store, link, all } = command.optsWithGlobals<RevokeOptions>()
      if ((link === undefined) === (all !== true))
        throw new UsageError('Cannot tell which links to revoke: give one with --link, or --all')
      const objects = openStore({ store }, console)
      const links = await linksOf(id, objects, console)
      const chosen = links.filter(({ download }) => all === true || linkName(download.id) === link)
      if (link !== undefined && chosen.length === 0)
        throw new UsageError(
          `Cannot revoke link "${printable(link)}": channel "${printable(id)}" has none of that name, "ciphertrail channel links ${printable(id)}" lists them`,
        )
      let revoked = 0
      for (const { download } of chosen)
        if ((await revokeDownload(download.id, console.now(), objects)) !== undefined) revoked += 1
      if (json === true) console.out(toJson({ channel: id, revoked, before: chosen.length - revoked }))
      else
        console.out(
          `${plural(revoked, 'link')} of channel "${printable(id)}" revoked${chosen.length === revoked ? '' : `, ${chosen.length - revoked} were before`}`,
        )
    })
}

/** The links of a channel, newest first, also of one that was removed. Throws UsageError for one that never had any and is not there. */
async function linksOf(id: string, objects: Objects, console: Console): Promise<readonly Link[]> {
  const { downloads, damaged } = await listDownloads(objects)
  for (const key of damaged) console.err(`Cannot read "${key}": it is damaged, so that its link works for nobody`)
  const own = downloads.filter(({ channel }) => channel === id)
  if (own.length === 0) await chosenChannels(id, objects)
  const channel = (await readChannels(objects)).find((one) => one.id === id)
  const suppressions = await readSuppressions(objects)
  return own
    .toSorted((a, b) => compareText(b.madeAt, a.madeAt) || compareText(a.id, b.id))
    .map((download) => {
      const isSuppressed = suppressionOf(suppressions, download.recipient, id) !== undefined
      return { download, end: downloadEnd(download, channel, { isSuppressed, now: console.now() }) }
    })
}

/** What the periods of their reports are called; one that is not recorded any more is absent. */
async function weeksOf(links: readonly Link[], objects: Objects): Promise<ReadonlyMap<string, string>> {
  const weeks = new Map<string, string>()
  for (const key of new Set(links.map(({ download }) => download.report))) {
    const { period } = (await readReport(key, objects)) ?? {}
    if (period !== undefined) weeks.set(key, `${period.label} ${period.timeZone}`)
  }
  return weeks
}

function linkJson({ download, end }: Link, recipients: Recipients, weeks: ReadonlyMap<string, string>) {
  const { id, recipient, ...rest } = download
  return {
    link: linkName(id),
    ...rest,
    recipient,
    address: recipients.get(recipient) ?? null,
    period: weeks.get(download.report) ?? null,
    end,
  }
}
