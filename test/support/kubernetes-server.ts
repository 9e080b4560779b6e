import { writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { listenOnLoopback } from '../../demo/loopback.ts'
import { kubeconfigText, kubernetesReplay, makeAuthority, status } from '../../demo/replay-kubernetes.ts'
import type { KubernetesReplay, ReplayServer } from '../../demo/replay-kubernetes.ts'
import { respond } from './misbehave.ts'
import type { Misbehaviour } from './misbehave.ts'

export const TOKEN = 'replay-token-0123456789abcdef'

export type KubernetesServer = ReplayServer & {
  /** Paths that were asked, in order, with their query. */
  readonly asked: string[]
  /** Connections that were opened. */
  readonly connections: () => number
  /** What to do with a request instead of answering it well; undefined: nothing. Is asked for each request. */
  readonly misbehave: (how: ((url: string) => Misbehaviour | undefined) | undefined) => void
  /** Writes a kubeconfig that leads here. Default: with the right authority and the token. */
  readonly writeKubeconfig: (file: string, change?: { user?: Readonly<Record<string, unknown>>; ca?: string }) => void
  /** Accepts one more `Authorization` header. */
  readonly accept: (authorization: string) => void
  /** A client certificate that the server accepts instead of the token. PEM. */
  readonly client: { readonly cert: string; readonly key: string }
}

/**
 * Starts a TLS server that answers from recorded lists, or from a function, and can be told to misbehave.
 *
 * @param names what its certificate is for; default loopback
 */
export async function startKubernetesServer(
  source: string | KubernetesReplay,
  time: string,
  names?: readonly string[],
): Promise<KubernetesServer> {
  const replay = typeof source === 'string' ? kubernetesReplay(source) : source
  const authority = await makeAuthority()
  const client = await authority.issue(['auditor'])
  let now = new Date(time)
  let how: ((url: string) => Misbehaviour | undefined) | undefined
  let connections = 0
  const asked: string[] = []
  const accepted = new Set([`Bearer ${TOKEN}`])
  const server = createServer(
    { ...(await authority.issue(names)), ca: authority.ca, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      const url = request.url ?? '/'
      asked.push(url)
      const known = accepted.has(request.headers.authorization ?? '') || (request.socket as TLSSocket).authorized
      respond(response, known ? replay(url, now) : status(401, 'Unauthorized', 'Unauthorized'), how?.(url))
    },
  )
  server.on('secureConnection', () => connections++)
  const { port, close } = await listenOnLoopback(server)
  const url = `https://127.0.0.1:${port}`
  return {
    url,
    asked,
    client,
    connections: () => connections,
    accept: (authorization) => accepted.add(authorization),
    setTime: (next) => {
      now = new Date(next)
    },
    misbehave: (next) => {
      how = next
    },
    writeKubeconfig: (file, { user = { token: TOKEN }, ca = authority.ca } = {}) => {
      writeFileSync(file, kubeconfigText(url, ca, user))
    },
    close,
  }
}
