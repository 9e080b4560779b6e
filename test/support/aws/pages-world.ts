/** What the function `query` needs to serve pages: a store in S3, secrets, an issuer, and an API Gateway in front of it. */
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { listenOnLoopback } from '../../../demo/loopback.ts'
import { openStore } from '../../store/objects/open-s3.ts'
import { CLIENT, type OidcServer, startOidcServer } from '../sign-in/oidc-server.ts'
import { startS3Server } from '../servers/s3-server.ts'
import { fillHistories } from '../stored/asked-store.ts'
import { startApiGateway } from './api-gateway.ts'

const STORE = 's3://evidence?derived=derived'
const secret = (name: string): string => `arn:aws:secretsmanager:eu-central-1:111122223333:secret:${name}-AbCdEf`

/** The secrets by their ARN. */
const SECRETS: Readonly<Record<string, string>> = {
  [secret('key')]: 'k'.repeat(64),
  [secret('client')]: CLIENT.secret,
}

/** What runs. */
export type PagesWorld = {
  readonly issuer: OidcServer
  readonly gateway: Awaited<ReturnType<typeof startApiGateway>>
  /** What the template sets; it is set already. */
  readonly environment: Readonly<Record<string, string>>
}

/** Starts all of it until the suite ends, with the histories of `asked-store.ts`. */
export async function startPagesWorld(suite: {
  readonly after: (end: () => Promise<void> | void) => void
}): Promise<PagesWorld> {
  const s3 = await startS3Server()
  suite.after(() => s3.close())
  s3.makeBucket('evidence')
  s3.makeBucket('derived', { hasLock: false })
  const secrets = createServer((request, response) => {
    void text(request).then((body) => {
      const { SecretId } = JSON.parse(body) as { SecretId: string }
      response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' })
      response.end(JSON.stringify({ SecretString: SECRETS[SecretId] }))
    })
  })
  const { port, close } = await listenOnLoopback(secrets)
  suite.after(close)
  const issuer = await startOidcServer(suite, () => new Date())
  const gateway = await startApiGateway(suite)
  const environment = {
    ...s3.env,
    AWS_ENDPOINT_URL_SECRETS_MANAGER: `http://127.0.0.1:${port}`,
    POWERTOOLS_METRICS_NAMESPACE: 'test',
    CIPHERTRAIL_STORE: STORE,
    CIPHERTRAIL_PACK_QUEUE: 'http://127.0.0.1:1/111122223333/pack',
    CIPHERTRAIL_URL: gateway.url,
    CIPHERTRAIL_API_ISSUER: issuer.url,
    CIPHERTRAIL_API_AUDIENCE: 'ciphertrail-api,other',
    CIPHERTRAIL_SIGN_IN_KEY: secret('key'),
    CIPHERTRAIL_SIGN_IN_CLIENT: CLIENT.id,
    CIPHERTRAIL_SIGN_IN_SECRET: secret('client'),
  }
  Object.assign(process.env, environment)
  await fillHistories(openStore(STORE))
  return { issuer, gateway, environment }
}
