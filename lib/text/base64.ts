/**
 * Decodes base64 (RFC 4648, section 4); undefined unless the text is its canonical form: with padding, without spaces, and without unused bits. A text with two
 * forms could be changed unnoticed.
 */
export function fromBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}

/** Base64 with padding. */
export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}
