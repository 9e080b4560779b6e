/** A time-stamping authority (RFC 3161) that writes its DER by hand, so that it shares no code with what reads it. */
import assert from 'node:assert/strict'
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'

// ---- DER (X.690)

function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents)
  const { length } = body
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...head]), body])
}

const sequence = (...parts: readonly Uint8Array[]) => der(0x30, ...parts)
const setOf = (...parts: readonly Uint8Array[]) => der(0x31, ...parts)
const octets = (bytes: Uint8Array) => der(0x04, bytes)
const bits = (bytes: Uint8Array) => der(0x03, Buffer.of(0), bytes)
const none = der(0x05)
const yes = der(0x01, Buffer.of(0xff))
const utf8 = (text: string) => der(0x0c, Buffer.from(text))
const inContext = (number: number, ...parts: readonly Uint8Array[]) => der(0xa0 | number, ...parts)
const moment = (at: Date) => der(0x18, Buffer.from(at.toISOString().replaceAll(/[-:T]|\.\d+/g, '')))

function integer(value: number | Uint8Array): Buffer {
  if (typeof value !== 'number') return der(0x02, value)
  const hex = value.toString(16)
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
  return der(0x02, (bytes[0] ?? 0) < 128 ? bytes : Buffer.concat([Buffer.of(0), bytes]))
}

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...arcs] = text.split('.').map(Number)
  const bytes = [first * 40 + second, ...arcs].flatMap((arc) => {
    const groups = [arc & 0x7f]
    for (let rest = arc >> 7; rest > 0; rest >>= 7) groups.unshift((rest & 0x7f) | 0x80)
    return groups
  })
  return der(0x06, Buffer.from(bytes))
}

/** The parts of a constructed value, each with its head. */
function partsOf(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = []
  for (let rest = contentOf(bytes); rest.length > 0;) {
    const part = rest.subarray(0, rest.length - contentEnd(rest).length)
    parts.push(part)
    rest = contentEnd(rest)
  }
  return parts
}

function contentOf(bytes: Buffer): Buffer {
  const length = bytes[1] ?? 0
  const head = length < 128 ? 2 : 2 + (length & 0x7f)
  return bytes.subarray(head, head + (length < 128 ? length : bytes.readUIntBE(2, length & 0x7f)))
}

function contentEnd(bytes: Buffer): Buffer {
  const content = contentOf(bytes)
  return bytes.subarray(content.byteOffset - bytes.byteOffset + content.length)
}

// ---- certificates

const SHA256 = '2.16.840.1.101.3.4.2.1'
const SHA1 = '1.3.14.3.2.26'
const TIME_STAMPING = '1.3.6.1.5.5.7.3.8'
const ALGORITHMS = {
  rsa: sequence(oid('1.2.840.113549.1.1.11'), none),
  ec: sequence(oid('1.2.840.10045.4.3.2')),
} as const

type KeyKind = keyof typeof ALGORITHMS

/** A key and its certificate. */
export type Certified = {
  readonly name: string
  readonly kind: KeyKind
  readonly key: KeyObject
  readonly certificate: Buffer
}

/** What a certificate says, where that is not as by default. */
export type CertificateOptions = {
  readonly kind?: KeyKind
  /** Who signs it; absent: itself. */
  readonly issuer?: Certified
  readonly isAuthority?: boolean
  /** Purposes of its key; absent: time stamps alone, or none for an authority. */
  readonly purposes?: readonly string[]
  readonly isCritical?: boolean
  readonly from?: Date
  readonly to?: Date
  /** A key that is there already. */
  readonly key?: KeyObject
}

const nameOf = (name: string) => sequence(setOf(sequence(oid('2.5.4.3'), utf8(name))))

/** Makes a certificate. */
export function certified(name: string, options: CertificateOptions = {}): Certified {
  const { kind = 'ec', issuer, isAuthority = false, isCritical = true } = options
  const { from = new Date('2020-01-01T00:00:00Z'), to = new Date('2049-01-01T00:00:00Z') } = options
  const { purposes = isAuthority ? [] : [TIME_STAMPING] } = options
  const key =
    options.key ??
    (kind === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
      : generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
  const extension = (id: string, critical: boolean, value: Buffer) =>
    sequence(oid(id), ...(critical ? [yes] : []), octets(value))
  const signedBy = issuer ?? { name, kind, key }
  const algorithm = ALGORITHMS[signedBy.kind]
  const body = sequence(
    inContext(0, integer(2)),
    integer(createHash('sha256').update(name).digest().readUInt32BE() >>> 1),
    algorithm,
    nameOf(signedBy.name),
    sequence(moment(from), moment(to)),
    nameOf(name),
    createPublicKey(key).export({ format: 'der', type: 'spki' }),
    inContext(
      3,
      sequence(
        extension('2.5.29.19', true, isAuthority ? sequence(yes) : sequence()),
        ...(purposes.length === 0 ? [] : [extension('2.5.29.37', isCritical, sequence(...purposes.map(oid)))]),
      ),
    ),
  )
  return { name, kind, key, certificate: sequence(body, algorithm, bits(sign('sha256', body, signedBy.key))) }
}

/** As a file of PEM has it. */
export function pemOf(...all: readonly Certified[]): string {
  return all
    .map(
      ({ certificate }) =>
        `-----BEGIN CERTIFICATE-----\n${certificate.toString('base64').replaceAll(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`,
    )
    .join('')
}

// ---- requests and answers

/** A request for a time stamp. */
export type AskedStamp = {
  readonly imprint: Buffer
  readonly policy: string | null
  readonly nonce: Buffer
  readonly hasCertificates: boolean
}

/** Reads a request; fails on what no client of ours sends. */
export function readRequest(bytes: Buffer): AskedStamp {
  const [version, imprint, ...rest] = partsOf(bytes)
  assert.deepEqual(version, integer(1))
  const [algorithm, hashed] = partsOf(imprint ?? assert.fail())
  assert.deepEqual(algorithm, sequence(oid(SHA256), none))
  const nonce = rest.find((part) => part[0] === 0x02) ?? assert.fail('it has no nonce')
  const policy = rest.find((part) => part[0] === 0x06)
  return {
    imprint: contentOf(hashed ?? assert.fail()),
    policy: policy === undefined ? null : policy.toString('hex'),
    nonce: contentOf(nonce),
    hasCertificates: rest.some((part) => Buffer.compare(part, yes) === 0),
  }
}

/** How an answer is made, where that is not as by default. */
export type StampOptions = {
  readonly signer: Certified
  /** Further certificates in it. */
  readonly others?: readonly Certified[]
  readonly at: Date
  readonly imprint: Buffer
  /** Null: none. */
  readonly nonce: Buffer | null
  readonly policy?: string
  readonly status?: number
  readonly statusText?: string
  /** The certificate that the signature names; null: none. */
  readonly names?: Certified | null
  /** Whether it is named by SHA-1, as RFC 2634 has it. */
  readonly namesOld?: boolean
  readonly contentType?: string
  /** Who signs in truth. */
  readonly key?: KeyObject
  readonly imprintAlgorithm?: string
}

const TST_INFO = '1.2.840.113549.1.9.16.1.4'
const SIGNED_DATA = '1.2.840.113549.1.7.2'
const DIGEST = sequence(oid(SHA256), none)

/** The bytes of an answer. */
export function stampOf(options: StampOptions): Buffer {
  const { signer, others = [], at, imprint, nonce, policy = '1.2.3.4.1', status = 0, statusText } = options
  const {
    names = signer,
    namesOld = false,
    contentType = TST_INFO,
    key = signer.key,
    imprintAlgorithm = SHA256,
  } = options
  const said = sequence(integer(status), ...(statusText === undefined ? [] : [sequence(utf8(statusText))]))
  if (status > 1) return sequence(said)
  const info = sequence(
    integer(1),
    oid(policy),
    sequence(sequence(oid(imprintAlgorithm), none), octets(imprint)),
    integer(7001),
    moment(at),
    sequence(integer(1)),
    ...(nonce === null ? [] : [integer(nonce)]),
  )
  const attribute = (type: string, value: Buffer) => sequence(oid(type), setOf(value))
  const hashed = (algorithm: string) =>
    octets(
      createHash(algorithm)
        .update(names?.certificate ?? '')
        .digest(),
    )
  const attributes = [
    attribute('1.2.840.113549.1.9.3', oid(contentType)),
    attribute('1.2.840.113549.1.9.4', octets(createHash('sha256').update(info).digest())),
    ...(names === null
      ? []
      : [
          namesOld
            ? attribute('1.2.840.113549.1.9.16.2.12', sequence(sequence(sequence(hashed('sha1')))))
            : attribute('1.2.840.113549.1.9.16.2.47', sequence(sequence(sequence(hashed('sha256'))))),
        ]),
  ]
  const [, serial, , issuer] = partsOf(partsOf(signer.certificate)[0] ?? assert.fail())
  const signerInfo = sequence(
    integer(1),
    sequence(issuer ?? assert.fail(), serial ?? assert.fail()),
    DIGEST,
    inContext(0, ...attributes),
    ALGORITHMS[signer.kind],
    octets(sign('sha256', setOf(...attributes), key)),
  )
  const signed = sequence(
    integer(3),
    setOf(DIGEST),
    sequence(oid(TST_INFO), inContext(0, octets(info))),
    inContext(0, signer.certificate, ...others.map(({ certificate }) => certificate)),
    setOf(signerInfo),
  )
  return sequence(said, sequence(oid(SIGNED_DATA), inContext(0, signed)))
}

/** The object identifier of SHA-1. */
export const OLD_HASH = SHA1
