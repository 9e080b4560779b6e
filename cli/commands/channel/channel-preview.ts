import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import type { Channel } from '../../../lib/deliver/channel/channel.ts'
import { type WeekMail, dueMail } from '../../../lib/deliver/mail/sending-times.ts'
import { buildMessage } from '../../../lib/deliver/send/mime-message.ts'
import { readSuppressions, withoutSuppressed } from '../../../lib/deliver/channel/suppressions.ts'
import { weekMail } from '../../../lib/jobs/mail/write-mail.ts'
import { timeOf } from '../../../lib/time/windows.ts'
import { toJson } from '../../../lib/text/format-json.ts'
import { printable } from '../../../lib/text/printable.ts'
import { makeFolder } from '../../../lib/store/objects/folder.ts'
import { StoreError } from '../../../lib/store/objects/objects.ts'
import { chosenChannels } from '../../find-channel.ts'
import { type Console, UsageError } from '../../console.ts'
import { openStore } from '../../open-store.ts'
import { readNow, readUrl, readWeek } from '../../option-values.ts'

type PreviewOptions = {
  readonly week?: string
  readonly out: string
  readonly url?: string
  readonly now?: string
  readonly json?: boolean
  readonly store?: string
}

/** Adds `ciphertrail channel preview`. */
export function addChannelPreview(channel: Command, console: Console): void {
  channel
    .command('preview')
    .summary('write the mail of a week to files, and send nothing')
    .description(
      'Makes the mail of a channel as it would be sent and writes it as .eml (the whole message, to a recipient that is none), .html and .txt (its two parts). Nothing is sent, opened or recorded.',
    )
    .argument('<id>', 'a channel')
    .option(
      '--week <week>',
      'an ISO week, such as 2026-W47, in the time zone of the channel (default the one that is due)',
    )
    .option('--out <dir>', 'folder to write to', './ciphertrail-mail')
    .option('--url <url>', 'where people reach the pages, for the links (default CIPHERTRAIL_URL, else no links)')
    .option('--now <time>', 'take this for the present: for replays')
    .option('--json', 'one JSON object that names what was written')
    .addHelpText('after', '\nExample:\n  ciphertrail channel preview payments --week 2026-W47 --out mail')
    .action(async (id: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<PreviewOptions>()
      const objects = openStore(options, console)
      const [one] = await chosenChannels(id, objects)
      if (one === undefined) throw new UsageError(`Cannot find channel "${printable(id)}": there is none of that name`)
      const now = readNow(options, console)
      const week = weekOf(one, options.week, now)
      const url = readUrl(options.url ?? console.config.url)
      console.progress(`Reading eight weeks for ${one.id}`)
      const { suppressed } = withoutSuppressed(one, await readSuppressions(objects))
      const content = await weekMail(
        { channel: one, week, now, version: console.version, url, suppressed },
        { objects },
      )
      console.progressEnd()
      const unsubscribe = url === null ? null : `${url}/unsubscribe/preview`
      const download = content.download === null ? null : `${url}/d/preview`
      const parts = { text: content.text(unsubscribe, download), html: content.html(unsubscribe, download) }
      const message = await buildMessage({
        ...parts,
        subject: content.view.subject,
        format: one.format,
        language: one.language,
        channel: one.id,
        name: `${one.id} ${week.week} preview`,
        // RFC 2606: nobody's.
        from: { name: 'ciphertrail', address: 'ciphertrail@example.invalid' },
        to: 'recipient@example.invalid',
        date: now,
        unsubscribe,
        attachments: content.attachments,
      })
      const name = `${one.id}-${week.week}`
      const files = await writeFiles(options.out, [
        { name: `${name}.eml`, body: message },
        ...(one.format === 'text' ? [] : [{ name: `${name}.html`, body: parts.html }]),
        { name: `${name}.txt`, body: parts.text },
      ])
      if (options.json === true)
        console.out(
          toJson({ channel: one.id, week: week.week, subject: content.view.subject, bytes: message.byteLength, files }),
        )
      else for (const line of [content.view.subject, ...files]) console.out(printable(line))
    })
}

/** The week that is asked for, or the one whose mail is due. Throws UsageError. */
function weekOf(channel: Channel, week: string | undefined, now: Date): Pick<WeekMail, 'week' | 'from' | 'to'> {
  // Whoever looks at a new channel wants to see the last week, whether its mail would be sent or not.
  if (week === undefined) {
    const due = dueMail({ ...channel, addedAt: '1970-01-01T00:00:00Z' }, timeOf(now))
    if (due !== null) return due
    throw new UsageError('Cannot tell the week: give --week 2026-W47')
  }
  return { week, ...readWeek(week, channel.timeZone) }
}

async function writeFiles(
  out: string,
  files: readonly { readonly name: string; readonly body: string | Uint8Array }[],
): Promise<readonly string[]> {
  try {
    await makeFolder(out)
    for (const { name, body } of files) await writeFile(join(out, name), body)
  } catch (error) {
    throw new StoreError(
      `Cannot write the mail to "${printable(out)}": ${error instanceof Error && 'code' in error ? String(error.code) : 'it failed'}, wanted a folder that can be written and has space`,
      { cause: error },
    )
  }
  return files.map(({ name }) => join(out, name))
}
