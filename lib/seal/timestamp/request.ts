/** Requests for time stamps (RFC 3161) of the log's signed heads. Pure. */
import { createHash, randomBytes } from 'node:crypto'
import { Integer, Null, OctetString } from 'asn1js'
import { AlgorithmIdentifier, MessageImprint, TimeStampReq, id_sha256 } from 'pkijs'

/** The hash by which a time stamp names what it is of. */
export const IMPRINT_ALGORITHM = id_sha256

/** What a time stamp is of: the SHA-256 of a signed head, as it is stored. */
export function imprintOf(note: Uint8Array): Buffer {
  return createHash('sha256').update(note).digest()
}

/** A new nonce, by which an answer is known to be one to this request. Eight bytes, a positive integer: some servers take no longer ones. */
export function newNonce(): Uint8Array {
  const nonce = randomBytes(8)
  nonce[0] = ((nonce[0] ?? 0) & 0x3f) | 0x40
  return nonce
}

/**
 * The bytes of a request for a time stamp of a signed head, with the certificates of whoever signs it.
 *
 * @param policy the object identifier under which it is to be made; null: the server's own
 */
export function timestampRequest(note: Uint8Array, nonce: Uint8Array, policy: string | null): Uint8Array {
  const request = new TimeStampReq({
    version: 1,
    messageImprint: new MessageImprint({
      hashAlgorithm: new AlgorithmIdentifier({ algorithmId: IMPRINT_ALGORITHM, algorithmParams: new Null() }),
      hashedMessage: new OctetString({ valueHex: imprintOf(note) }),
    }),
    ...(policy === null ? {} : { reqPolicy: policy }),
    nonce: new Integer({ valueHex: nonce }),
    certReq: true,
  })
  return new Uint8Array(request.toSchema().toBER())
}
