import type { ServerResponse } from 'node:http'

/** An answer before it is sent. */
export type Answer = { status: number; headers: Record<string, string>; body: Buffer }

/** What the server does with a request instead of answering it well. */
export type S3Misbehaviour =
  | {
      readonly status: number
      readonly code: string
      readonly message?: string
      readonly headers?: Record<string, string>
    }
  /** The connection is closed before anything is done. */
  | 'reset'
  /** It is done, and the connection is closed instead of saying so. */
  | 'lose-answer'
  | 'hang'
  /** The headers come, and the body never ends. */
  | 'drip'
  /** The connection ends in the middle of the body. */
  | 'cut-body'
  /** The body is whole, and nothing announces its length. */
  | 'no-length'
  /** The XML ends in the middle, in a body that is whole. */
  | 'cut-xml'
  /** One byte of the body is another one. */
  | 'changed-byte'
  | 'html'
  | 'empty'
  | 'no-etag'
  | 'no-key-count'
  | 'no-token'
  | 'same-token'
  | 'disorder'
  | 'other-prefix'
  /** Fewer keys than it says. */
  | 'lost-key'

/** Sends an answer, well or as told. What comes in its place, or not at all, was decided before. */
export function sendAnswer(
  { status, headers, body }: Answer,
  how: S3Misbehaviour | undefined,
  response: ServerResponse,
): void {
  const whole = (bytes: Buffer, without: readonly string[] = []): void => {
    const kept = Object.entries(headers).filter(([name]) => !without.includes(name))
    response.writeHead(status, {
      ...Object.fromEntries(kept),
      'x-amz-request-id': 'REQUEST',
      ...(status === 204 ? {} : { 'content-length': bytes.length }),
    })
    response.end(bytes)
  }
  const changed = (change: (text: string) => string): void => whole(Buffer.from(change(body.toString())))
  if (typeof how === 'object') return whole(body)
  switch (how) {
    case 'drip': {
      response.writeHead(status, headers)
      const timer = setInterval(() => response.write(' '), 5)
      response.on('close', () => clearInterval(timer))
      return
    }
    case 'cut-body':
      response.writeHead(status, { ...headers, 'content-length': body.length })
      response.write(body.subarray(0, body.length / 2), () => response.destroy())
      return
    case 'no-length':
      response.writeHead(status, headers)
      response.write(body.subarray(0, body.length / 2), () => response.end(body.subarray(body.length / 2)))
      return
    case 'cut-xml':
      return whole(body.subarray(0, body.indexOf('</Contents>') + 30))
    case 'changed-byte': {
      const other = Buffer.from(body)
      other[0] = (other[0] ?? 0) ^ 1
      return whole(other)
    }
    case 'html':
      headers = { 'content-type': 'text/html' }
      return whole(Buffer.from('<!doctype html><html><body>Log in</body></html>'))
    case 'empty':
      headers = {}
      return whole(Buffer.alloc(0))
    case 'no-etag':
      return whole(body, ['etag'])
    case 'no-key-count':
      return changed((text) => text.replace(/<KeyCount>.*<\/KeyCount>/, ''))
    case 'no-token':
      return changed((text) =>
        text.replace(/<NextContinuationToken>.*<\/NextContinuationToken>/, '').replace('>false<', '>true<'),
      )
    case 'same-token':
      return changed((text) =>
        text
          .replace(/<NextContinuationToken>.*<\/NextContinuationToken>/, '')
          .replace('<KeyCount>', '<NextContinuationToken>bGFzdA</NextContinuationToken><KeyCount>')
          .replace('>false<', '>true<'),
      )
    case 'disorder':
      return changed((text) => {
        const contents = text.match(/<Contents>.*?<\/Contents>/g) ?? []
        return text.replace(contents.join(''), contents.toReversed().join(''))
      })
    case 'other-prefix':
      return changed((text) => text.replaceAll(/<Key>./g, '<Key>~'))
    case 'lost-key':
      return changed((text) => text.replace(/<Contents>.*?<\/Contents>/, ''))
    case 'reset':
    case 'lose-answer':
    case 'hang':
    case undefined:
      return whole(body)
  }
}
