import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { listenOnLoopback } from '../../../demo/loopback.ts'

/** What the server was asked: the action, and its members as JSON. */
type KmsRequest = { readonly action: string; readonly members: Readonly<Record<string, unknown>> }

export type KmsServer = {
  readonly url: string
  /** 32 bytes. */
  readonly publicKey: Buffer
  readonly asked: KmsRequest[]
  /** What to answer instead, asked for each request; undefined: what KMS would. */
  readonly misbehave: (how: (request: KmsRequest) => { status: number; body: unknown } | undefined) => void
  readonly close: () => Promise<void>
}

export const KEY_ARN = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab'

/** Another key of the same type. */
export const TRUST_KEY_ARN = 'arn:aws:kms:eu-central-1:111122223333:key/5678abcd-12ab-34cd-56ef-1234567890ab'

const KEY_FACTS = {
  KeySpec: 'ECC_NIST_EDWARDS25519',
  KeyUsage: 'SIGN_VERIFY',
  SigningAlgorithms: ['ED25519_SHA_512', 'ED25519_PH_SHA_512'],
}

/** The most that KMS signs of a message that is not hashed before. */
const MAX_MESSAGE_BYTES = 4096

/** Starts a server that does what AWS KMS does for `GetPublicKey` and `Sign` with two Ed25519 keys, in the JSON protocol of AWS. */
export async function startKmsServer(): Promise<KmsServer> {
  const keys: Keys = new Map([KEY_ARN, TRUST_KEY_ARN].map((arn) => [arn, newKey()]))
  const asked: KmsRequest[] = []
  let how: ((request: KmsRequest) => { status: number; body: unknown } | undefined) | undefined
  const server = createServer((request, response) => {
    readRequest(request).then(
      (came) => {
        asked.push(came)
        const { status, body } = how?.(came) ?? answerTo(request, came, keys)
        response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' })
        response.end(JSON.stringify(body))
      },
      () => response.destroy(),
    )
  })
  const { port, close } = await listenOnLoopback(server)
  return {
    url: `http://127.0.0.1:${port}`,
    publicKey: (keys.get(KEY_ARN) ?? newKey()).spki.subarray(-32),
    asked,
    misbehave: (next) => {
      how = next
    },
    close,
  }
}

async function readRequest(request: IncomingMessage): Promise<KmsRequest> {
  const action = String(request.headers['x-amz-target']).replace('TrentService.', '')
  return { action, members: JSON.parse(await text(request)) as Record<string, unknown> }
}

type Keys = ReadonlyMap<string, { readonly spki: Buffer; readonly privateKey: KeyObject }>

function newKey() {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  return { spki: publicKey.export({ format: 'der', type: 'spki' }), privateKey }
}

function answerTo(request: IncomingMessage, { action, members }: KmsRequest, keys: Keys) {
  if (!/^AWS4-HMAC-SHA256 Credential=[^/]+\/\d{8}\/eu-central-1\/kms\//.test(request.headers.authorization ?? ''))
    return failure('MissingAuthenticationTokenException', 'Missing Authentication Token')
  const id = String(members['KeyId'])
  const key = keys.get(id)
  if (key === undefined) return failure('NotFoundException', `Key '${String(members['KeyId'])}' does not exist`)
  if (action === 'GetPublicKey')
    return { status: 200, body: { KeyId: id, ...KEY_FACTS, PublicKey: key.spki.toString('base64') } }
  const message = Buffer.from(String(members['Message']), 'base64')
  if (action !== 'Sign' || members['MessageType'] !== 'RAW' || members['SigningAlgorithm'] !== 'ED25519_SHA_512')
    return failure('ValidationException', 'Only ED25519_SHA_512 of RAW messages is known here')
  if (message.length > MAX_MESSAGE_BYTES) return failure('ValidationException', 'The message is too long')
  const signature = sign(null, message, key.privateKey).toString('base64')
  return { status: 200, body: { KeyId: id, Signature: signature, SigningAlgorithm: 'ED25519_SHA_512' } }
}

function failure(type: string, message: string) {
  return { status: 400, body: { __type: type, message } }
}
