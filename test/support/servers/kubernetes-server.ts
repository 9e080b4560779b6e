import { writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import { text } from 'node:stream/consumers'
import type { TLSSocket } from 'node:tls'
import type { WebSocket } from 'ws'
import { listenOnLoopback } from '../../../demo/loopback.ts'
import { kubeconfigText, kubernetesReplay, makeAuthority, status } from '../../../demo/replay-kubernetes.ts'
import type { KubernetesReplay, ReplayServer } from '../../../demo/replay-kubernetes.ts'
import { relayToPort, servePortForward } from '../../../demo/replay-port-forward.ts'
import type { ForwardDecision, Relay, WantedPort } from '../../../demo/replay-port-forward.ts'
import { serveExec } from './exec-server.ts'
import type { ExecDecision, WantedCommand } from './exec-server.ts'
import { respond } from './misbehave.ts'
import type { Misbehaviour } from './misbehave.ts'
import type { ReplayAnswer } from '../../../demo/replay-answer.ts'

export const TOKEN = 'replay-token-0123456789abcdef'

/** What a review of rights asks for. */
export type ResourceAttributes = {
  readonly verb: string
  readonly group: string
  readonly resource: string
  readonly subresource?: string
  readonly namespace?: string
  readonly name?: string
}

export type KubernetesServer = ReplayServer & {
  /** Paths that were asked, in order, with their query. */
  readonly asked: string[]
  /** The authority that signed its certificate. PEM. */
  readonly ca: string
  /** Connections that were opened. */
  readonly connections: () => number
  /** What to do with a request instead of answering it well; undefined: nothing. Is asked for each request. */
  readonly misbehave: (how: ((url: string) => Misbehaviour | undefined) | undefined) => void
  /** Writes a kubeconfig that leads here, or to what stands in front. Default: with the right authority and the token. */
  readonly writeKubeconfig: (
    file: string,
    change?: { user?: Readonly<Record<string, unknown>>; ca?: string; port?: number },
  ) => void
  /** Forwards ports of pods, as told; `relay` carries the bytes, well unless told otherwise. Without this nothing is forwarded. */
  readonly forward: (decide: (wanted: WantedPort) => ForwardDecision, relay?: Relay) => void
  /** Runs commands in containers, as told. Without this none is run. */
  readonly run: (decide: (wanted: WantedCommand) => ExecDecision) => void
  /** What reviews of rights say; all is allowed unless told otherwise. */
  readonly allow: (isAllowed: (attributes: ResourceAttributes) => boolean) => void
  /** Cuts all port-forwards that are open. */
  readonly cut: () => void
  /** Accepts one more `Authorization` header, or those that a function says. */
  readonly accept: (authorization: string | ((authorization: string) => boolean)) => void
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
  let isAllowed: (attributes: ResourceAttributes) => boolean = () => true
  let how: ((url: string) => Misbehaviour | undefined) | undefined
  let connections = 0
  const asked: string[] = []
  const accepted: ((authorization: string) => boolean)[] = [(sent) => sent === `Bearer ${TOKEN}`]
  const isKnown = ({ headers, socket }: IncomingMessage): boolean =>
    accepted.some((isIt) => isIt(headers.authorization ?? '')) || (socket as TLSSocket).authorized
  const server = createServer(
    { ...(await authority.issue(names)), ca: authority.ca, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      const url = request.url ?? '/'
      asked.push(url)
      const known = isKnown(request)
      const answer = async (): Promise<ReplayAnswer> => {
        if (!known) return status(401, 'Unauthorized', 'Unauthorized')
        return url.endsWith('/selfsubjectaccessreviews') ? review(await text(request), isAllowed) : replay(url, now)
      }
      answer().then(
        (answered) => respond(response, answered, how?.(url)),
        () => response.destroy(),
      )
    },
  )
  server.on('secureConnection', () => connections++)
  let decide: (wanted: WantedPort) => ForwardDecision = () => status(404, 'NotFound', 'nothing is forwarded')
  let relay: Relay | undefined
  const forwards = new Set<WebSocket>()
  servePortForward(
    server,
    (wanted, request) => {
      asked.push(request.url ?? '')
      return isKnown(request) ? decide(wanted) : status(401, 'Unauthorized', 'Unauthorized')
    },
    (socket, wanted, port) => {
      forwards.add(socket)
      socket.on('close', () => forwards.delete(socket))
      ;(relay ?? relayToPort)(socket, wanted, port)
    },
    (upgraded) => upgraded.includes('/exec?'),
  )
  let run: (wanted: WantedCommand) => ExecDecision = () => status(404, 'NotFound', 'nothing runs')
  serveExec(server, (wanted, request) => {
    asked.push(request.url ?? '')
    return isKnown(request) ? run(wanted) : status(401, 'Unauthorized', 'Unauthorized')
  })
  const { port, close } = await listenOnLoopback(server)
  const url = `https://127.0.0.1:${port}`
  return {
    url,
    asked,
    ca: authority.ca,
    client,
    connections: () => connections,
    forward: (next, carry) => {
      decide = next
      relay = carry
    },
    run: (next) => {
      run = next
    },
    allow: (next) => {
      isAllowed = next
    },
    cut: () => {
      for (const socket of forwards) socket.terminate()
    },
    accept: (how) => accepted.push(typeof how === 'function' ? how : (sent) => sent === how),
    setTime: (next) => {
      now = new Date(next)
    },
    misbehave: (next) => {
      how = next
    },
    writeKubeconfig: (file, { user = { token: TOKEN }, ca = authority.ca, port: front = port } = {}) => {
      writeFileSync(file, kubeconfigText(`https://127.0.0.1:${front}`, ca, user))
    },
    close,
  }
}

/** An answer to a review of the asker's own rights. */
function review(question: string, isAllowed: (attributes: ResourceAttributes) => boolean): ReplayAnswer {
  const { spec, ...rest } = JSON.parse(question) as {
    readonly spec: { readonly resourceAttributes: ResourceAttributes }
  }
  return {
    status: 201,
    body: JSON.stringify({ ...rest, spec, status: { allowed: isAllowed(spec.resourceAttributes) } }),
  }
}
