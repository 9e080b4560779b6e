/** Channels in force: those of the latest recorded change. */
import canonicalize from 'canonicalize'
import { timeOf } from '../../time/windows.ts'
import { type ChangeAuthor, damagedChange, readLatestChange, recordChange } from '../../store/registry/changes.ts'
import { changeKey } from '../../store/keys.ts'
import { ConflictError, type Objects } from '../../store/objects/objects.ts'
import { compareText } from '../../text/order.ts'
import {
  type Channel,
  type ChannelOptions,
  checkChannelId,
  checkedAddresses,
  decodeChannels,
  changeChannel,
} from './channel.ts'
import { keepRecipients, settleRecipients } from './recipients.ts'

/** Number of concurrent changes before something else must be wrong. */
const MAX_ROUNDS = 25

/** The channels in force, by id; empty if there never was one. Throws an `Error` that names the key of a damaged change. */
export async function readChannels(objects: Objects): Promise<readonly Channel[]> {
  return (await latest(objects)).channels
}

/** Adds a channel, or changes the given settings of an existing one. Throws `ChannelError` for invalid settings. */
export async function addChannel(
  options: ChannelOptions,
  author: ChangeAuthor,
  objects: Objects,
): Promise<'added' | 'updated' | 'unchanged'> {
  const { id } = options
  checkChannelId(id)
  const addresses = checkedAddresses(id, options.recipients ?? [])
  const now = timeOf(author.now)
  // Validate once without the pseudonyms: invalid settings leave no address behind.
  changeChannel(
    (await readChannels(objects)).find((channel) => channel.id === id),
    options,
    undefined,
    now,
  )
  const kept = await keepRecipients(addresses, objects)
  let outcome: 'added' | 'updated' | 'unchanged' = 'unchanged'
  await changeChannels(author, objects, (channels) => {
    const before = channels.find((channel) => channel.id === id)
    const channel = changeChannel(before, options, options.recipients === undefined ? undefined : kept, now)
    outcome = before === undefined ? 'added' : canonicalize(before) === canonicalize(channel) ? 'unchanged' : 'updated'
    return outcome === 'unchanged' ? channels : [...channels.filter((one) => one.id !== id), channel]
  })
  await settle(addresses, objects)
  return outcome
}

/** Removes a channel; its deliveries stay listed. False if there was none. */
export async function removeChannel(id: string, author: ChangeAuthor, objects: Objects): Promise<boolean> {
  let wasThere = false
  await changeChannels(author, objects, (channels) => {
    wasThere = channels.some((channel) => channel.id === id)
    return wasThere ? channels.filter((channel) => channel.id !== id) : channels
  })
  // Even if it was gone already: an earlier removal may have crashed before the addresses were deleted.
  await settle([], objects)
  return wasThere
}

type Latest = { readonly channels: readonly Channel[]; readonly change: number }

async function latest(objects: Objects): Promise<Latest> {
  const change = await readLatestChange('channels', objects)
  if (change === undefined) return { channels: [], change: 0 }
  const channels = decodeChannels(change.content)
  if (channels === undefined) throw damagedChange(changeKey('channels', change.number))
  return { channels, change: change.number }
}

async function settle(addresses: readonly string[], objects: Objects): Promise<void> {
  await settleRecipients(
    addresses,
    async () => {
      const { channels, change } = await latest(objects)
      return { pseudonyms: new Set(channels.flatMap(({ recipients }) => recipients)), change }
    },
    objects,
  )
}

/** Decides and records one change; decides again after a concurrent change. `decide` returns the same list if there is nothing to change. */
async function changeChannels(
  author: ChangeAuthor,
  objects: Objects,
  decide: (channels: readonly Channel[]) => readonly Channel[],
): Promise<void> {
  for (let round = 1; ; round++) {
    const { channels, change } = await latest(objects)
    const after = decide(channels)
    if (after === channels) return
    const content = { channels: after.toSorted((a, b) => compareText(a.id, b.id)) }
    try {
      await recordChange({ kind: 'channels', number: change + 1, content }, author, objects)
      return
    } catch (error) {
      if (!(error instanceof ConflictError) || round === MAX_ROUNDS) throw error
    }
  }
}
