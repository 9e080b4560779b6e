/** The interface of mail transports. */
import type { DeliveryId } from '../../store/delivery-keys.ts'

/** One message to one address. */
export type Envelope = {
  readonly from: string
  readonly to: string
  /** As sent. */
  readonly message: Uint8Array
  /** Ids from the store, without an address: a transport with feedback names the mail by them. */
  readonly tags: DeliveryId
}

/** Sends a message, and returns the server's id of it. Throws {@link NotSentError} if no server accepted it; after any other error one may have. */
export type SendMail = (envelope: Envelope) => Promise<string>

/**
 * Why a message was not accepted. `for-now`: trying again may help. `for-good`: it does not, the address or the message was refused. `no-mailbox`: every other
 * message fails, too, since the address does not exist. `too-fast`, `quota`: no message is accepted for some seconds, or for hours.
 */
export type Refusal = 'for-now' | 'for-good' | 'no-mailbox' | 'too-fast' | 'quota'

/** No server accepted the message. One line, without an address or a secret. */
export class NotSentError extends Error {
  override readonly name = 'NotSentError'
  readonly refusal: Refusal
  constructor(message: string, refusal: Refusal, options?: ErrorOptions) {
    super(message, options)
    this.refusal = refusal
  }
}

/** A server's message without the address, in upper or lower case, and without anything else that looks like one. */
export function withoutAddress(text: string, address: string): string {
  return text
    .replaceAll(new RegExp(address.replaceAll(/\W/g, '\\$&'), 'gi'), '(the recipient)')
    .replaceAll(/[^\s<>()"',;:]+@[^\s<>()"',;:]+/g, '(an address)')
}
