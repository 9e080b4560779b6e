import type { ApiServerAddress } from '../model.ts'
import type { ApiServer } from './credentials.ts'
import { bearer, readSecret } from './credential-files.ts'
import { SetupError } from './http.ts'
import { keptToken } from './kept-token.ts'
import { messageOf } from './failure-words.ts'
import { oneLine, withoutSecrets } from './text.ts'

/** The way to an API server that is registered by its address, the authority to trust, and where the token is. */
export function addressServer({ url, ca, tokenFile, tokenSecret }: ApiServerAddress, deadlineMs: number): ApiServer {
  const now = (): Date => new Date()
  const read =
    tokenSecret === undefined
      ? (): Promise<string> => readSecret(tokenFile ?? '', 'the token file')
      : keptToken(() => secretToken(tokenSecret, deadlineMs), now)
  return {
    url: new URL(url),
    ca,
    serverName: undefined,
    credentials: async (refused) => ({
      ...bearer(await read(refused?.replace(/^Bearer /, ''))),
      certificate: undefined,
    }),
  }
}

/**
 * The token in a secret of AWS Secrets Manager: its text, or the member `token` of its JSON.
 *
 * @param secret a name, then in the region of the environment, or an ARN, which says its region
 * @throws SetupError in one line that holds no token
 */
async function secretToken(secret: string, deadlineMs: number): Promise<string> {
  const name = `the secret "${oneLine(secret)}" of AWS Secrets Manager`
  // Its library is loaded only where it is used.
  const { GetSecretValueCommand, SecretsManagerClient } = await import('@aws-sdk/client-secrets-manager')
  const [, region] = /^arn:[^:]+:secretsmanager:([^:]+):/.exec(secret) ?? []
  const client = new SecretsManagerClient(region === undefined ? {} : { region })
  let text: string | undefined
  try {
    const command = new GetSecretValueCommand({ SecretId: secret })
    text = (await client.send(command, { abortSignal: AbortSignal.timeout(deadlineMs) })).SecretString
  } catch (error) {
    const kind = error instanceof Error && error.name !== 'Error' ? `${error.name}: ` : ''
    const hint = /AccessDenied|NotAuthorized/.test(kind)
      ? '; allow secretsmanager:GetSecretValue on it to whoever runs this'
      : /region is missing/i.test(messageOf(error))
        ? '; register it by its ARN, or set AWS_REGION'
        : ''
    throw new SetupError(`${name} cannot be read (${kind}${withoutSecrets(messageOf(error), [])})${hint}`)
  } finally {
    client.destroy()
  }
  const token = tokenIn(text ?? '').trim()
  if (token === '') throw new SetupError(`${name} holds no token: wanted its text, or JSON with a member "token"`)
  if (/[\p{Cc}\s]/u.test(token)) throw new SetupError(`${name} holds more than one line or word`)
  return token
}

function tokenIn(text: string): string {
  if (!text.trimStart().startsWith('{')) return text
  try {
    const { token } = JSON.parse(text) as { readonly token?: unknown }
    return typeof token === 'string' ? token : ''
  } catch {
    return ''
  }
}
