/** Which time-stamping authority is asked, and whose answers are believed. Pure. */
import { TimestampError } from './timestamp-error.ts'

/** What an operator says of the authority, as text. */
export type TimestampOptions = {
  readonly url: string
  /** Whether the address may begin with http. */
  readonly mayBeHttp: boolean
  /** An object identifier; absent: the policy of the authority. */
  readonly policy?: string | undefined
  /** PEM; absent: an answer is kept whoever signed it. */
  readonly authorities?: string | undefined
}

/** The same, checked. */
export type TimestampSettings = {
  readonly url: URL
  readonly policy: string | null
  readonly authorities: string | null
}

/**
 * Checks what is said of an authority. An address without encryption needs the certificates of the authority: else anybody on the way could answer, and what is
 * kept once is kept for ever. Throws {@link TimestampError}, whose message says what is wanted.
 */
export function timestampSettings({ url: text, mayBeHttp, policy, authorities }: TimestampOptions): TimestampSettings {
  const url = URL.parse(text)
  // Not quoted: it may hold a credential.
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '' || url.hash !== '')
    throw new TimestampError(
      'its address is none that can be asked, wanted one such as https://tsa.example.com/tsr, without credentials',
    )
  if (url.protocol === 'http:' && !mayBeHttp)
    throw new TimestampError(
      'its address begins with http: use https, or allow it (--tsa-http, or CIPHERTRAIL_TSA_HTTP=allow)',
    )
  if (url.protocol === 'http:' && authorities === undefined)
    throw new TimestampError(
      'its address begins with http, so anybody on the way could answer: give its certificates (--tsa-ca, or CIPHERTRAIL_TSA_CA)',
    )
  if (policy !== undefined && !isPolicy(policy))
    throw new TimestampError('the policy is no object identifier, wanted one such as 1.2.840.113549.1.9.16.3.4')
  return { url, policy: policy ?? null, authorities: authorities ?? null }
}

/** Whether a text is an object identifier in its usual form. */
export function isPolicy(text: string): boolean {
  return text.length <= 200 && /^[012](\.(0|[1-9]\d{0,17})){1,30}$/.test(text)
}
