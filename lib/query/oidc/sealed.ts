/** Text that a browser keeps for us and can neither read nor change: encrypted with a key of the server (JWE, AES-256-GCM). */
import { hkdfSync } from 'node:crypto'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { CompactEncrypt, compactDecrypt } from 'jose'
import * as z from 'zod'

/** What a text is for. One that is sealed for a sign-in under way is no session. */
export type Purpose = 'sign-in' | 'session'

/** Seals and opens. */
export type Sealer = {
  /** Seals content until a time, in milliseconds since the epoch. */
  readonly seal: (purpose: Purpose, content: object, endsAt: number) => Promise<string>
  /** The content; undefined for a text that is over, damaged, of another key or for another purpose. */
  readonly open: (purpose: Purpose, text: string, now: number) => Promise<unknown>
}

/** What was sealed here is smaller. */
const MAX_OPENED_BYTES = 1_000_000

const sealed = z.object({ endsAt: z.number(), content: z.unknown() })

/**
 * Seals with a key that is derived from a secret.
 *
 * @param secret at least 256 random bits; asked for at each use
 */
export function createSealer(secret: () => Promise<string | Uint8Array>): Sealer {
  const key = async (): Promise<Uint8Array> =>
    new Uint8Array(hkdfSync('sha256', await secret(), '', 'ciphertrail sign-in', 32))
  return {
    async seal(purpose, content, endsAt) {
      // Ids of clusters are alike, and a cookie is small.
      const bytes = deflateRawSync(JSON.stringify({ endsAt, content }))
      return new CompactEncrypt(bytes)
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', typ: purpose })
        .encrypt(await key())
    },
    async open(purpose, text, now) {
      const secretKey = await key()
      try {
        const { plaintext, protectedHeader } = await compactDecrypt(text, secretKey, {
          keyManagementAlgorithms: ['dir'],
          contentEncryptionAlgorithms: ['A256GCM'],
        })
        if (protectedHeader.typ !== purpose) return undefined
        const json = inflateRawSync(plaintext, { maxOutputLength: MAX_OPENED_BYTES }).toString()
        const { endsAt, content } = sealed.parse(JSON.parse(json))
        return now < endsAt ? content : undefined
      } catch {
        // Whatever a browser sends: it is nothing of ours.
        return undefined
      }
    },
  }
}
