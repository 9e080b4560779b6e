/** What a way to send mail is to us. */
import type { DeliveryId } from '../../store/keys.ts'

/** One message to one address. */
export type Envelope = {
  readonly from: string
  readonly to: string
  /** As it goes over the wire. */
  readonly message: Uint8Array
  /** Of the store, without an address: what a way that reports back later names it by. */
  readonly tags: DeliveryId
}

/**
 * Sends a message, and gives what the server calls it. Throws {@link NotSentError} where no server took it; any other error means that one may
 * have.
 */
export type SendMail = (envelope: Envelope) => Promise<string>

/** No server took the message. One line, without an address or a secret. */
export class NotSentError extends Error {
  override readonly name = 'NotSentError'
  /** Trying again is of no use: the address or the message was refused for good. */
  readonly isFinal: boolean
  constructor(message: string, isFinal: boolean, options?: ErrorOptions) {
    super(message, options)
    this.isFinal = isFinal
  }
}

/** What a server said without an address, which it may repeat in whatever letters it likes, and without whatever else looks like one. */
export function withoutAddress(text: string, address: string): string {
  return text
    .replaceAll(new RegExp(address.replaceAll(/\W/g, '\\$&'), 'gi'), '(the recipient)')
    .replaceAll(/[^\s<>()"',;:]+@[^\s<>()"',;:]+/g, '(an address)')
}
