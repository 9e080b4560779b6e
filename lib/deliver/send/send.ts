/** What a way to send mail is to us. */
import type { DeliveryId } from '../../store/delivery-keys.ts'

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

/**
 * How a message was not taken. `for-now`: trying again may help. `for-good`: it does not, the address or the message was refused. `no-mailbox`: neither does any
 * other message, since nobody has the address. `too-fast`, `quota`: none is taken for some seconds, or for hours, whatever it is.
 */
export type Refusal = 'for-now' | 'for-good' | 'no-mailbox' | 'too-fast' | 'quota'

/** No server took the message. One line, without an address or a secret. */
export class NotSentError extends Error {
  override readonly name = 'NotSentError'
  readonly refusal: Refusal
  constructor(message: string, refusal: Refusal, options?: ErrorOptions) {
    super(message, options)
    this.refusal = refusal
  }
}

/** What a server said without an address, which it may repeat in whatever letters it likes, and without whatever else looks like one. */
export function withoutAddress(text: string, address: string): string {
  return text
    .replaceAll(new RegExp(address.replaceAll(/\W/g, '\\$&'), 'gi'), '(the recipient)')
    .replaceAll(/[^\s<>()"',;:]+@[^\s<>()"',;:]+/g, '(an address)')
}
