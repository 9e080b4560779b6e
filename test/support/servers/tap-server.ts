import { writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { buffer } from 'node:stream/consumers'
import { listenOnLoopback } from '../../../demo/loopback.ts'
import { kubeconfigText, makeAuthority, status } from '../../../demo/replay-kubernetes.ts'
import type { ReplayAnswer } from '../../../demo/replay-answer.ts'

export const TAP_TOKEN = 'tap-token-0123456789abcdef'

/** A request for events that a server got. */
export type TapAsked = { readonly path: string; readonly body: Buffer }

/** What a server does with a request for events. */
export type TapAnswer = (response: ServerResponse, request: IncomingMessage) => void

export type TapServer = {
  readonly asked: TapAsked[]
  /** How requests for events are answered from now on. */
  readonly answer: (how: TapAnswer) => void
  /** How the API's own resources are asked for; default: it is there. Null: never answered. */
  readonly discovery: (answer: ReplayAnswer | null) => void
  readonly writeKubeconfig: (file: string) => void
  readonly close: () => Promise<void>
}

const PRESENT: ReplayAnswer = {
  status: 200,
  body: JSON.stringify({ kind: 'APIResourceList', groupVersion: 'tap.linkerd.io/v1alpha1', resources: [] }),
}

/** Starts a TLS server that stands for an API server with the tap API behind it. */
export async function startTapServer(): Promise<TapServer> {
  const authority = await makeAuthority()
  const asked: TapAsked[] = []
  let how: TapAnswer = (response) => send(response, status(404, 'NotFound', 'nothing is replayed'))
  let discovery: ReplayAnswer | null = PRESENT
  const server = createServer(await authority.issue(), (request, response) => {
    void buffer(request).then((body) => {
      const path = request.url ?? ''
      if (request.headers.authorization !== `Bearer ${TAP_TOKEN}`)
        send(response, status(401, 'Unauthorized', 'Unauthorized'))
      else if (request.method === 'POST') {
        asked.push({ path, body })
        how(response, request)
      } else if (path !== '/apis/tap.linkerd.io/v1alpha1') send(response, status(404, 'NotFound', 'not found'))
      else if (discovery !== null) send(response, discovery)
    })
  })
  const { port, close } = await listenOnLoopback(server)
  return {
    asked,
    answer: (next) => {
      how = next
    },
    discovery: (next) => {
      discovery = next
    },
    writeKubeconfig: (file) => {
      writeFileSync(file, kubeconfigText(`https://127.0.0.1:${port}`, authority.ca, { token: TAP_TOKEN }))
    },
    close,
  }
}

function send(response: ServerResponse, { status: code, body }: ReplayAnswer): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(body)
}

/** Answers with a status and JSON, as the API server and the tap API do. */
export function refuse(answer: ReplayAnswer): TapAnswer {
  return (response) => send(response, answer)
}

export type ReplayOptions = {
  /** Bytes of each piece; default all at once. */
  readonly sizes?: readonly number[]
  /** What comes after the bytes: the end, a cut connection, or nothing. */
  readonly after?: 'end' | 'cut' | 'silence'
  readonly headers?: Readonly<Record<string, string>>
}

/** Answers with recorded bytes. */
export function replay(bytes: Uint8Array, { sizes = [], after = 'end', headers = {} }: ReplayOptions = {}): TapAnswer {
  return (response) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream', ...headers })
    response.flushHeaders()
    const pieces: Uint8Array[] = []
    for (let from = 0, index = 0; from < bytes.length; index++) {
      const to = from + (sizes[index % Math.max(1, sizes.length)] ?? bytes.length)
      pieces.push(bytes.subarray(from, to))
      from = to
    }
    const next = (): void => {
      const piece = pieces.shift()
      if (piece !== undefined) response.write(piece, next)
      else if (after === 'end') response.end()
      else if (after === 'cut') response.socket?.destroy()
    }
    next()
  }
}
