import type { ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import type { ReplayAnswer } from '../../../demo/replay-answer.ts'

/** What a server does with a request instead of answering it well. */
export type Misbehaviour =
  /** Another answer, with headers of its own. */
  | { readonly answer: ReplayAnswer; readonly headers?: Readonly<Record<string, string>> }
  /** The JSON ends in the middle, in a body that is whole. */
  | 'cut-json'
  /** The connection ends in the middle of the body. */
  | 'cut-body'
  | 'cut-gzip'
  /** A page where JSON should be. */
  | 'html'
  | 'not-utf8'
  /** No byte is ever sent. */
  | 'hang'
  /** The body begins and never ends: a space each millisecond. */
  | 'drip'
  /** The connection is closed without an answer. */
  | 'reset'
  /** Not misbehaviour, but what servers do with large answers. */
  | 'gzip'

/** Sends an answer, well or as told. */
export function respond(response: ServerResponse, { status, body }: ReplayAnswer, how: Misbehaviour | undefined): void {
  const headers = { 'content-type': 'application/json' }
  const send = (bytes: Buffer | string, more: Readonly<Record<string, string>> = {}): void => {
    response.writeHead(status, { ...headers, 'content-length': String(Buffer.byteLength(bytes)), ...more })
    response.end(bytes)
  }
  switch (how) {
    case undefined:
      return send(body)
    case 'gzip':
      return send(gzipSync(body), { 'content-encoding': 'gzip' })
    case 'cut-gzip':
      return send(gzipSync(body).subarray(0, -20), { 'content-encoding': 'gzip' })
    case 'cut-json':
      return send(body.slice(0, body.length / 2))
    case 'html':
      return send('<!doctype html><title>Log in</title>', { 'content-type': 'text/html; charset=utf-8' })
    case 'not-utf8':
      return send(Buffer.from([0x7b, 0xff, 0x7d]))
    case 'cut-body': {
      response.writeHead(status, { ...headers, 'content-length': String(Buffer.byteLength(body)) })
      response.write(body.slice(0, body.length / 2), () => response.destroy())
      return
    }
    case 'hang':
      return
    case 'drip': {
      response.writeHead(status, headers)
      const timer = setInterval(() => response.write(' '), 1)
      response.on('close', () => clearInterval(timer))
      return
    }
    case 'reset':
      response.socket?.destroy()
      return
    default: {
      const { answer, headers: more } = how
      response.writeHead(answer.status, { ...headers, ...more })
      response.end(answer.body)
    }
  }
}
