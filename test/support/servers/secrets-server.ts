import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { listenOnLoopback } from '../../../demo/loopback.ts'
import { setEnvironment } from '../process/environment.ts'
import { signatureProblem } from './signature.ts'

const KEYS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }

/** A Secrets Manager that verifies who asks, and answers what a function says; it tells what it was asked. */
export async function startSecrets(context: TestContext, secret: (id: string) => object) {
  const asked: string[] = []
  const server = createServer((request, response) => {
    const answer = async (): Promise<void> => {
      const body = await text(request)
      const { method = '', url = '', headers } = request
      const region = /\/\d{8}\/([^/]+)\//.exec(headers.authorization ?? '')?.[1] ?? ''
      const problem = signatureProblem(
        { method, url, headers, body },
        { ...KEYS, region, service: 'secretsmanager' },
        new Date(),
      )
      const { SecretId: id } = JSON.parse(body) as { SecretId: string }
      asked.push(`${String(headers['x-amz-target'])} ${region} ${id}`)
      const said = problem === null ? secret(id) : { __type: 'AccessDeniedException', Message: problem }
      response
        .writeHead('__type' in said ? 400 : 200, { 'content-type': 'application/x-amz-json-1.1' })
        .end(JSON.stringify(said))
    }
    answer().catch(() => response.destroy())
  })
  const { port, close } = await listenOnLoopback(server)
  context.after(close)
  setEnvironment(context, {
    AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
    AWS_REGION: 'eu-central-1',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_ENDPOINT_URL_SECRETS_MANAGER: `http://127.0.0.1:${port}`,
  })
  return asked
}
