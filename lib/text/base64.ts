/**
 * The bytes of base64 (RFC 4648, section 4), or undefined where the text is not the one way to write them: with padding, without spaces,
 * and without bits that say nothing. A text that could be written in two ways could be changed unseen.
 */
export function fromBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}

/** Base64 with padding. */
export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}
