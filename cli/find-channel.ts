import type { Channel } from '../lib/deliver/channel/channel.ts'
import { readChannels } from '../lib/deliver/channel/channels.ts'
import { printable } from '../lib/text/printable.ts'
import type { Objects } from '../lib/store/objects/objects.ts'
import { UsageError } from './console.ts'

/** The channel of that name, or all of them. Throws UsageError for one that is not there, and where there is none. */
export async function chosenChannels(id: string | undefined, objects: Objects): Promise<readonly Channel[]> {
  const channels = await readChannels(objects)
  if (channels.length === 0)
    throw new UsageError(
      'Cannot go on without a channel: there is none in this store, add one with "ciphertrail channel add ID --to ADDRESS"',
    )
  if (id === undefined) return channels
  const chosen = channels.filter((one) => one.id === id)
  if (chosen.length > 0) return chosen
  throw new UsageError(`Cannot find channel "${printable(id)}": there are ${channels.map((one) => one.id).join(', ')}`)
}
