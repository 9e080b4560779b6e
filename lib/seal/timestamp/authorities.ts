/** Certificates of time-stamping authorities that somebody trusts. Pure. */
import { X509Certificate } from 'node:crypto'
import { Certificate } from 'pkijs'
import { TimestampError } from './timestamp-error.ts'

const PEM = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g

/** More are a bundle of the whole web. */
const MAX_CERTIFICATES = 50

/** Reads the certificates in the text of a PEM file, one or more. Throws {@link TimestampError}, whose message follows the name of the file. */
export function readAuthorities(pem: string): readonly Certificate[] {
  const found = pem.match(PEM) ?? []
  if (found.length === 0) throw new TimestampError('it has no certificate, wanted PEM (-----BEGIN CERTIFICATE-----)')
  if (found.length > MAX_CERTIFICATES)
    throw new TimestampError(
      `it has ${found.length} certificates, wanted those of the time-stamping authority alone, at most ${MAX_CERTIFICATES}`,
    )
  return found.map((text, at) => {
    try {
      return Certificate.fromBER(new X509Certificate(text).raw)
    } catch {
      throw new TimestampError(`certificate ${at + 1} in it cannot be read`)
    }
  })
}
