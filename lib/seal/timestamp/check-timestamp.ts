/** Whether an answer of a time-stamping authority (RFC 3161) is a time stamp of a signed head. Pure. */
import { createHash, X509Certificate } from 'node:crypto'
import { type BaseBlock, fromBER, ObjectIdentifier, OctetString, Sequence } from 'asn1js'
import {
  Certificate,
  CertificateChainValidationEngine,
  ExtKeyUsage,
  id_ContentType_SignedData,
  id_eContentType_TSTInfo,
  id_ExtKeyUsage,
  id_sha256,
  id_sha384,
  id_sha512,
  SignedData,
  type SignerInfo,
  TimeStampResp,
  TSTInfo,
} from 'pkijs'
import { errorLine } from '../../text/error-line.ts'
import { isMoment, timeOf } from '../../time/windows.ts'
import { imprintOf, IMPRINT_ALGORITHM } from './request.ts'
import { TimestampError } from './timestamp-error.ts'

/** A time stamp that holds: it is of the head, and whoever signed it could. */
export type Timestamp = {
  /** RFC 3339: the head existed at this time. */
  readonly time: string
  /** How far that time may be off, in seconds; null if the authority did not say. */
  readonly accuracySeconds: number | null
  /** The object identifier of the authority's policy. */
  readonly policy: string
  /** The number that the authority gave it, in hex. */
  readonly serial: string
  /** The names in the certificate that signed it, and of who issued that: text of the authority, on one line. */
  readonly signer: string
  readonly issuer: string
  /** Whether the certificate leads to one of the given authorities. If none is given, anybody can have made the time stamp. */
  readonly isTrusted: boolean
}

/** What an answer is held against. */
export type Wanted = {
  /** The nonce of the request; absent: the answer was kept, and nobody knows it any more. */
  readonly nonce?: Uint8Array
  /** The policy that was asked for; absent: any. */
  readonly policy?: string
  /** Whose time stamps are believed; empty: anybody's. */
  readonly authorities: readonly Certificate[]
  /** Absent: its time is compared with no clock. */
  readonly now?: Date
}

/** How far the clock of an authority may be ahead of ours, or behind it when it just answered. */
const CLOCK_MS = 60 * 60 * 1000

const GRANTED = [0, 1]
const TIME_STAMPING = '1.3.6.1.5.5.7.3.8'
const CONTENT_TYPE = '1.2.840.113549.1.9.3'
const SIGNING_CERTIFICATE = '1.2.840.113549.1.9.16.2.12'
const SIGNING_CERTIFICATE_V2 = '1.2.840.113549.1.9.16.2.47'
const DIGESTS: Readonly<Record<string, string>> = {
  [id_sha256]: 'sha256',
  [id_sha384]: 'sha384',
  [id_sha512]: 'sha512',
}

/** More certificates than any chain has would cost whoever tries all ways through them. */
const MAX_CERTIFICATES = 10
const MAX_ISSUERS = 30

/**
 * Checks an answer, and returns what it says. Throws {@link TimestampError} where it is no time stamp of the head, or not one that is wanted: refused, of other
 * bytes, with another nonce or policy, not signed by a certificate in it that may sign time stamps and was valid then, not of one of the authorities if any are
 * given, or of a time that cannot be.
 */
export async function checkTimestamp(answer: Uint8Array, note: Uint8Array, wanted: Wanted): Promise<Timestamp> {
  const { signed, info } = read(answer)
  checkInfo(info, note, wanted)
  const signer = await checkSignature(signed, note)
  checkSigner(signer, info)
  if (wanted.authorities.length > 0) await checkChain(signer, certificatesIn(signed), wanted.authorities, info.genTime)
  const { subject, issuer } = nodeCertificate(signer)
  return {
    time: timeOf(info.genTime),
    accuracySeconds: accuracyOf(info),
    policy: info.policy,
    serial: Buffer.from(info.serialNumber.valueBlock.valueHexView).toString('hex'),
    signer: onOneLine(subject),
    issuer: onOneLine(issuer),
    isTrusted: wanted.authorities.length > 0,
  }
}

function read(answer: Uint8Array): { readonly signed: SignedData; readonly info: TSTInfo } {
  const response = parsed('it is no answer of a time-stamping authority', () => {
    const { offset, result } = fromBER(answer)
    if (offset !== answer.length) throw new TimestampError('it is no answer of a time-stamping authority')
    return new TimeStampResp({ schema: result })
  })
  const { status } = response
  if (!GRANTED.includes(status.status))
    throw new TimestampError(
      `the authority did not grant it (status ${status.status}${(status.statusStrings ?? []).map(({ valueBlock }) => `, ${errorLine(valueBlock.value)}`).join('')})`,
    )
  const { timeStampToken: token } = response
  if (token?.contentType !== id_ContentType_SignedData) throw new TimestampError('it holds no signed token')
  return parsed('its token cannot be read', () => {
    const signed = new SignedData({ schema: token.content })
    const { eContent, eContentType } = signed.encapContentInfo
    if (eContentType !== id_eContentType_TSTInfo || eContent === undefined)
      throw new TimestampError('what it signs is no time stamp')
    return { signed, info: TSTInfo.fromBER(eContent.getValue()) }
  })
}

/** Whatever a library throws on hostile bytes is one line of ours. */
function parsed<T>(problem: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw error instanceof TimestampError ? error : new TimestampError(problem, { cause: error })
  }
}

function checkInfo(info: TSTInfo, note: Uint8Array, { nonce, policy, now }: Wanted): void {
  const { hashAlgorithm, hashedMessage } = info.messageImprint
  const isOfNote =
    hashAlgorithm.algorithmId === IMPRINT_ALGORITHM &&
    Buffer.compare(hashedMessage.valueBlock.valueHexView, imprintOf(note)) === 0
  if (!isOfNote) throw new TimestampError('it is of other bytes')
  if (nonce !== undefined && !isInteger(info.nonce?.valueBlock.valueHexView, nonce))
    throw new TimestampError('it answers another request: its nonce is not the one that was sent')
  if (policy !== undefined && info.policy !== policy)
    throw new TimestampError(`it was made under policy ${info.policy}, wanted ${policy}`)
  if (!isMoment(info.genTime.getTime() / 1000)) throw new TimestampError('it tells no time that can be')
  if (now === undefined) return
  const ahead = info.genTime.getTime() - now.getTime()
  if (ahead > CLOCK_MS || (nonce !== undefined && ahead < -CLOCK_MS))
    throw new TimestampError(
      `it tells the time ${momentText(info.genTime)}, and the clock here ${momentText(now)}: one of the two is wrong`,
    )
}

/** Compares integers of DER, which may begin with a zero. */
function isInteger(bytes: Uint8Array | undefined, wanted: Uint8Array): boolean {
  const bare = (one: Uint8Array): string =>
    Buffer.from(one)
      .toString('hex')
      .replace(/^(00)+/, '')
  return bytes !== undefined && bare(bytes) === bare(wanted)
}

/** The certificate by whose key the token is signed. */
async function checkSignature(signed: SignedData, note: Uint8Array): Promise<Certificate> {
  const [info] = signed.signerInfos
  if (info === undefined || signed.signerInfos.length !== 1) throw new TimestampError('it has not one signature')
  if (DIGESTS[info.digestAlgorithm.algorithmId] === undefined)
    throw new TimestampError('it is signed by a hash that is too weak or not known, wanted SHA-256, SHA-384 or SHA-512')
  if (certificatesIn(signed).length > MAX_CERTIFICATES)
    throw new TimestampError(`it holds more than ${MAX_CERTIFICATES} certificates`)
  // Node's types of a buffer are wider than those of WebCrypto.
  const data = new Uint8Array(note).buffer
  const outcome = await signed.verify({ signer: 0, data, extendedMode: true }).catch((error: unknown) => {
    throw new TimestampError(`its signature cannot be checked: ${reasonOf(error)}`)
  })
  const { signerCertificate: signer } = outcome
  if (outcome.signatureVerified !== true || signer === null || signer === undefined)
    throw new TimestampError('its signature is not by the certificate in it')
  checkSignedAttributes(info, signer)
  return signer
}

const reasonOf = (error: unknown): string => errorLine(error).replace(/^Error during verification: /, '')

function certificatesIn({ certificates = [] }: SignedData): readonly Certificate[] {
  return certificates.filter((one) => one instanceof Certificate)
}

/** What is signed is a time stamp, and names the certificate: else one of another use, or of another authority with the same key, would do. */
function checkSignedAttributes({ signedAttrs }: SignerInfo, signer: Certificate): void {
  const valueOf = (type: string): BaseBlock | undefined =>
    signedAttrs?.attributes.find((attribute) => attribute.type === type)?.values[0]
  const contentType = valueOf(CONTENT_TYPE)
  if (!(contentType instanceof ObjectIdentifier) || contentType.getValue() !== id_eContentType_TSTInfo)
    throw new TimestampError('its signature is not one of a time stamp')
  const { raw } = nodeCertificate(signer)
  const [v1, v2] = [namedCertificate(valueOf(SIGNING_CERTIFICATE)), namedCertificate(valueOf(SIGNING_CERTIFICATE_V2))]
  const hashed = (algorithm: string): Buffer => createHash(algorithm).update(raw).digest()
  const isNamed =
    v2 === undefined ? isHash(v1, () => hashed('sha1')) : isHash(v2, (oid) => hashed(DIGESTS[oid] ?? 'sha256'))
  if (!isNamed) throw new TimestampError('its signature does not name the certificate that signed it')
}

type NamedCertificate = { readonly algorithm: string; readonly hash: Uint8Array }

/** SigningCertificate (RFC 2634) and SigningCertificateV2 (RFC 5035): the first one named in it. */
function namedCertificate(value: BaseBlock | undefined): NamedCertificate | undefined {
  const [certificates] = value instanceof Sequence ? value.valueBlock.value : []
  const [first] = certificates instanceof Sequence ? certificates.valueBlock.value : []
  const parts = first instanceof Sequence ? first.valueBlock.value : []
  const hash = parts.find((part) => part instanceof OctetString)
  const [named] = parts[0] instanceof Sequence ? parts[0].valueBlock.value : []
  if (hash === undefined) return undefined
  return {
    algorithm: named instanceof ObjectIdentifier ? named.getValue() : id_sha256,
    hash: hash.valueBlock.valueHexView,
  }
}

function isHash(named: NamedCertificate | undefined, hashed: (algorithm: string) => Buffer): boolean {
  return named !== undefined && Buffer.compare(named.hash, hashed(named.algorithm)) === 0
}

/** The certificate may sign time stamps and nothing else (RFC 3161, 2.3), and was valid when it did. */
function checkSigner(signer: Certificate, { genTime }: TSTInfo): void {
  const usage = signer.extensions?.find(({ extnID }) => extnID === id_ExtKeyUsage)
  const value: unknown = usage?.parsedValue
  const purposes = value instanceof ExtKeyUsage ? value.keyPurposes : []
  if (usage?.critical !== true || purposes.length !== 1 || purposes[0] !== TIME_STAMPING)
    throw new TimestampError('the certificate that signed it is not one for time stamps')
  const [from, to] = [signer.notBefore.value, signer.notAfter.value]
  if (!(genTime >= from && genTime <= to))
    throw new TimestampError(
      `the certificate that signed it was valid from ${momentText(from)} to ${momentText(to)}, and it tells the time ${momentText(genTime)}`,
    )
}

/** The certificate leads to one that is trusted, as of the time that is stamped. */
async function checkChain(
  signer: Certificate,
  certificates: readonly Certificate[],
  authorities: readonly Certificate[],
  at: Date,
): Promise<void> {
  const raw = ({ tbsView }: Certificate): string => Buffer.from(tbsView).toString('base64')
  // Somebody's own authority of one certificate, which is trusted itself.
  if (authorities.some((one) => raw(one) === raw(signer))) return
  let asked = 0
  const engine = new CertificateChainValidationEngine({
    certs: [...certificates.filter((one) => raw(one) !== raw(signer)), signer],
    trustedCerts: [...authorities],
    checkDate: at,
    // Two certificates that issued each other would be followed for ever.
    findIssuer: async (certificate, own, crypto) => {
      if (++asked > MAX_ISSUERS) throw new TimestampError('its certificates lead nowhere')
      const found = await engine.defaultFindIssuer(certificate, own, crypto)
      // An authority may also be certified by an older one, which leads no further: the engine would fail there.
      const trusted = found.filter((one) => authorities.some((authority) => raw(authority) === raw(one)))
      return trusted.length > 0 ? trusted : found
    },
  })
  const outcome = await engine.verify().catch((error: unknown) => ({ result: false, resultMessage: errorLine(error) }))
  if (!outcome.result)
    throw new TimestampError(
      `the certificate that signed it does not lead to an authority that is trusted: ${errorLine(outcome.resultMessage)}`,
    )
}

function accuracyOf({ accuracy }: TSTInfo): number | null {
  if (accuracy === undefined) return null
  return (accuracy.seconds ?? 0) + (accuracy.millis ?? 0) / 1e3 + (accuracy.micros ?? 0) / 1e6
}

function nodeCertificate(certificate: Certificate): X509Certificate {
  return parsed(
    'a certificate in it cannot be read',
    () => new X509Certificate(Buffer.from(certificate.toSchema().toBER())),
  )
}

/** Certificates may hold any date, and none. */
function momentText(at: Date): string {
  return isMoment(at.getTime() / 1000) ? timeOf(at) : 'an impossible time'
}

/** Names of a certificate have a line for each part. */
const onOneLine = (name: string): string => errorLine(name.replaceAll('\n', ', '))
