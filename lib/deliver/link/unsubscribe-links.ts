/** Links to leave a channel: the same in every mail, so that one of years ago still works. They hold no address. */
import { isClusterId } from '../../store/keys.ts'
import { isPseudonym } from '../channel/channel.ts'
import { isMac, macOf } from './link-key.ts'

/** The recipient and the channel that they leave. */
export type Unsubscription = { readonly channel: string; readonly recipient: string }

/** The path of a link, below the URL of the pages. */
export function unsubscribePath(leave: Unsubscription, key: Uint8Array): string {
  return `/unsubscribe/${leave.channel}/${leave.recipient}/${macOf(leaveWords(leave), key)}`
}

/** Whether the last part of a link is the MAC of the others under this key. Takes constant time. */
export function isUnsubscribeLink(leave: Unsubscription, mac: string, key: Uint8Array): boolean {
  if (!isClusterId(leave.channel) || !isPseudonym(leave.recipient)) return false
  return isMac(mac, leaveWords(leave), key)
}

const leaveWords = ({ channel, recipient }: Unsubscription): string => `unsubscribe ${channel} ${recipient}`
