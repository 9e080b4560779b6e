import { createPublicKey } from 'node:crypto'
import { GetPublicKeyCommand, KMSClient, SignCommand } from '@aws-sdk/client-kms'
import { formatVkey, type Signer } from '../tlog/note.ts'

/** AWS KMS did not return the key or the signature. One line. */
export class KmsError extends Error {
  override readonly name = 'KmsError'
}

const KEY_SPEC = 'ECC_NIST_EDWARDS25519'
const ALGORITHM = 'ED25519_SHA_512'
const TIMEOUT_MS = 10_000

/**
 * Signs with a key that never leaves AWS KMS: of type ECC_NIST_EDWARDS25519, named by its id, ARN or alias. The name is the log's. The region comes from the
 * ARN, else from the AWS settings, which also give the credentials. Throws {@link KmsError} if the key cannot be read or has another type.
 */
export async function kmsSigner(
  { keyId, name }: { readonly keyId: string; readonly name: string },
  client: KMSClient = clientFor(keyId),
): Promise<Signer> {
  const answer = await asked('use', keyId, () => client.send(new GetPublicKeyCommand({ KeyId: keyId })))
  if (answer.KeySpec !== KEY_SPEC || answer.PublicKey === undefined)
    throw new KmsError(
      `Cannot use KMS key "${keyId}": it is of type ${answer.KeySpec ?? 'unknown'}, wanted ${KEY_SPEC}`,
    )
  return {
    vkey: formatVkey(name, rawKeyOf(keyId, answer.PublicKey)),
    async sign(message) {
      const { Signature } = await asked('sign with', keyId, () =>
        client.send(
          new SignCommand({ KeyId: keyId, Message: message, MessageType: 'RAW', SigningAlgorithm: ALGORITHM }),
        ),
      )
      if (Signature === undefined)
        throw new KmsError(`Cannot sign with KMS key "${keyId}": the answer has no signature`)
      return Signature
    },
  }
}

function clientFor(keyId: string): KMSClient {
  const [, region] = /^arn:[^:]*:kms:([^:]+):/.exec(keyId) ?? []
  return new KMSClient({
    ...(region === undefined ? {} : { region }),
    requestHandler: { connectionTimeout: TIMEOUT_MS, requestTimeout: TIMEOUT_MS },
  })
}

/** The 32 bytes in a DER SubjectPublicKeyInfo of Ed25519. */
function rawKeyOf(keyId: string, spki: Uint8Array): Uint8Array {
  try {
    const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
    if (key.asymmetricKeyType === 'ed25519') return key.export({ format: 'der', type: 'spki' }).subarray(-32)
  } catch (error) {
    throw new KmsError(`Cannot use KMS key "${keyId}": its public key cannot be read`, { cause: error })
  }
  throw new KmsError(`Cannot use KMS key "${keyId}": its public key is not of Ed25519`)
}

async function asked<T>(what: string, keyId: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    const state = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    throw new KmsError(`Cannot ${what} KMS key "${keyId}": ${state.replaceAll(/\s+/g, ' ').trim()}`, { cause: error })
  }
}
