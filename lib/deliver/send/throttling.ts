/** Waiting for a mail server that limits its rate. */
import { setTimeout as sleep } from 'node:timers/promises'
import { NotSentError, type Refusal, type SendMail } from './send.ts'

/** How a way to send waits. */
type Patience = {
  /** Whether there is time to wait this many milliseconds and then send; default: always. */
  readonly mayWait?: (ms: number) => boolean
  /** Default: by the machine's clock. */
  readonly wait?: (ms: number) => Promise<void>
  /** From 0 up to 1; default: chance. */
  readonly random?: () => number
}

const FIRST_MS = 500
const MAX_MS = 8_000

/** For each message: a rate is counted in seconds, and a claim lives for fifteen minutes. */
const ALL_MS = 60_000

/**
 * A way to send mail that waits: it sends, and where the server took it for too fast, waits and asks again: half a second, then twice as long each time up to eight, and of that a half at least, so that
 * several who wait do not come back together. After a minute, or where there is no time, that it was too fast is thrown, as whatever else is at once.
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

/** A way to send that remembers whether the server took no more, whatever the mail was. */
export type PacedMail = {
  readonly send: SendMail
  /** Whether it was held up: then no other recipient need be tried for now. */
  readonly isHeldUp: () => boolean
}

/** Watches a way to send for the first message that was refused for its rate or a quota. */
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

/** Whether a message was refused for how many were sent, which says nothing of it. */
export function isThrottled(refusal: Refusal): boolean {
  return refusal === 'too-fast' || refusal === 'quota'
}
