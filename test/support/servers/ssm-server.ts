import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { listenOnLoopback } from '../../../demo/loopback.ts'

/** What the server was asked: the action, and its members as JSON. */
type SsmRequest = { readonly action: string; readonly members: Readonly<Record<string, unknown>> }

type Answer = { readonly status: number; readonly body: unknown }

export type SsmServer = {
  readonly url: string
  /** All values of each parameter, the first version first. */
  readonly values: Map<string, string[]>
  readonly asked: SsmRequest[]
  /** Told before each request is answered; what it gives is answered instead of what Parameter Store would. */
  readonly onRequest: (how: (request: SsmRequest) => Answer | undefined | void) => void
  readonly close: () => Promise<void>
}

/** As the template makes it. */
export const HEAD_PARAMETER = '/ciphertrail-prod/log-head'
export const HEAD_PARAMETER_ARN = `arn:aws:ssm:eu-central-1:111122223333:parameter${HEAD_PARAMETER}`

/** Starts a server that does what Parameter Store of AWS does for `GetParameter` and `PutParameter` of Strings, versions included, with a parameter as the template makes it. */
export async function startSsmServer(): Promise<SsmServer> {
  const values = new Map([[HEAD_PARAMETER, ['none']]])
  const asked: SsmRequest[] = []
  let how: (request: SsmRequest) => Answer | undefined | void = () => undefined
  const server = createServer((request, response) => {
    const answer = async (): Promise<void> => {
      const action = String(request.headers['x-amz-target']).replace('AmazonSSM.', '')
      const came = { action, members: JSON.parse(await text(request)) as Record<string, unknown> }
      asked.push(came)
      const isSigned = /^AWS4-HMAC-SHA256 Credential=[^/]+\/\d{8}\/eu-central-1\/ssm\//.test(
        request.headers.authorization ?? '',
      )
      const { status, body } =
        how(came) ?? (isSigned ? answerTo(came, values) : failure('MissingAuthenticationTokenException', 'Unsigned'))
      response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' })
      response.end(JSON.stringify(body))
    }
    answer().catch(() => response.destroy())
  })
  const { port, close } = await listenOnLoopback(server)
  return {
    url: `http://127.0.0.1:${port}`,
    values,
    asked,
    onRequest: (next) => {
      how = next
    },
    close,
  }
}

function answerTo({ action, members }: SsmRequest, values: Map<string, string[]>): Answer {
  const [name = '', version] = String(members['Name']).split(':')
  const kept = values.get(name)
  if (action === 'GetParameter') {
    if (kept === undefined) return failure('ParameterNotFound', '')
    const Version = version === undefined ? kept.length : Number(version)
    const Value = kept[Version - 1]
    if (Value === undefined) return failure('ParameterVersionNotFound', `There is no version ${Version} of ${name}`)
    return { status: 200, body: { Parameter: { Name: name, Type: 'String', Value, Version } } }
  }
  if (action !== 'PutParameter') return failure('InvalidAction', action)
  const { Value, Type, Overwrite } = members
  if (typeof Value !== 'string' || Value === '' || Value.length > 4096)
    return failure('ValidationException', 'A standard parameter holds 1 to 4096 characters')
  if (kept !== undefined && Overwrite !== true)
    return failure('ParameterAlreadyExists', 'The parameter already exists. To overwrite this value, set Overwrite')
  if (kept === undefined && Type !== 'String') return failure('ValidationException', 'A type is needed')
  const next = [...(kept ?? []), Value]
  values.set(name, next)
  return { status: 200, body: { Version: next.length, Tier: 'Standard' } }
}

function failure(type: string, message: string): Answer {
  return { status: 400, body: { __type: type, message } }
}
