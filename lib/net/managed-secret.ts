/** Secrets in AWS Secrets Manager, read with credentials from the environment. */
import { errorMessage } from './error-messages.ts'
import { oneLine, withoutSecrets } from '../text/redact.ts'
import { SetupError } from './errors.ts'

/**
 * The value of a secret in AWS Secrets Manager: its text, or a member of its JSON. One line, without white space.
 *
 * @param secret a name in the region of the environment, or an ARN, which gives its region
 * @param member of JSON, and its name in messages: `token`
 * @param server where it is to be sent; JSON with a member `server` is for that one and goes to no other
 * @throws SetupError of one line that holds nothing of it
 */
export async function readManagedSecret(
  secret: string,
  member: string,
  deadlineMs: number,
  server?: string,
): Promise<string> {
  const name = `the secret "${oneLine(secret)}" of AWS Secrets Manager`
  // Its library is loaded on demand.
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
      : /region is missing/i.test(errorMessage(error))
        ? '; register it by its ARN, or set AWS_REGION'
        : ''
    throw new SetupError(`${name} cannot be read (${kind}${withoutSecrets(errorMessage(error), [])})${hint}`)
  } finally {
    client.destroy()
  }
  const meant = membersOf(text ?? '')?.['server']
  if (server !== undefined && meant !== undefined && originOf(meant) !== originOf(server))
    throw new SetupError(`${name} is for another server than "${oneLine(server)}", and is not sent there`)
  const value = valueIn(text ?? '', member).trim()
  if (value === '')
    throw new SetupError(`${name} holds no ${member}: wanted its text, or JSON with a member "${member}"`)
  if (/[\p{Cc}\s]/u.test(value)) throw new SetupError(`${name} holds more than one line or word`)
  return value
}

function valueIn(text: string, member: string): string {
  if (!text.trimStart().startsWith('{')) return text
  const value = membersOf(text)?.[member]
  return typeof value === 'string' ? value : ''
}

/** The members of a JSON secret. */
function membersOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}

function originOf(url: unknown): string | undefined {
  return typeof url === 'string' ? URL.parse(url)?.origin : undefined
}
