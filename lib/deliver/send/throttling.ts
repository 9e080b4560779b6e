/** Waiting for a mail server that limits its rate. */
import { setTimeout as sleep } from 'node:timers/promises'
import { NotSentError, type Refusal, type SendMail } from './send.ts'

/** How a transport waits. */
type Patience = {
  /** Whether there is time to wait this many milliseconds and then send; default: always. */
  readonly mayWait?: (ms: number) => boolean
  /** Default: the system clock. */
  readonly wait?: (ms: number) => Promise<void>
  /** From 0 up to 1; default: random. */
  readonly random?: () => number
}

const FIRST_MS = 500
const MAX_MS = 8_000

/** For each message: a rate is per second, and a claim lasts for fifteen minutes. */
const ALL_MS = 60_000

/**
 * A mail transport with retries: if the server throttles, it waits and retries: half a second, then twice as long each time up to eight, and at least half of
 * that, so that concurrent senders do not retry together. After a minute, or without time left, it throws the throttling error; any other error at once.
 */
export function retryThrottled<T extends { readonly send: SendMail }>(
  mail: T,
  { mayWait = () => true, wait = sleep, random = Math.random }: Patience = {},
): T {
  const send: SendMail = async (envelope) => {
    let waited = 0
    for (let longest = FIRST_MS; ; longest = Math.min(2 * longest, MAX_MS)) {
      try {
        return await mail.send(envelope)
      } catch (error) {
        if (!(error instanceof NotSentError) || error.refusal !== 'too-fast') throw error
        const ms = Math.ceil((longest * (1 + random())) / 2)
        if (waited + ms > ALL_MS || !mayWait(ms)) throw error
        waited += ms
        await wait(ms)
      }
    }
  }
  return { ...mail, send }
}

/** A transport that remembers whether the server throttled, whatever the mail was. */
export type PacedMail = {
  readonly send: SendMail
  /** Whether it was held up: then no other recipient need be tried for now. */
  readonly isHeldUp: () => boolean
}

/** Watches a transport for the first message that was refused for its rate or a quota. */
export function trackThrottling(send: SendMail): PacedMail {
  let isHeldUp = false
  return {
    send: async (envelope) => {
      try {
        return await send(envelope)
      } catch (error) {
        if (error instanceof NotSentError && isThrottled(error.refusal)) isHeldUp = true
        throw error
      }
    },
    isHeldUp: () => isHeldUp,
  }
}

/** Whether a message was refused because too many were sent, not for its content. */
export function isThrottled(refusal: Refusal): boolean {
  return refusal === 'too-fast' || refusal === 'quota'
}
