import type { TapState } from '../../assess/window/tap-reading.ts'
import type { TapEvent } from '../../observed/tap-events.ts'
import { codePointName, printable } from '../../text/printable.ts'

/** The names of gRPC's status codes, as Go prints them. */
const GRPC_STATUS = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
]

/**
 * An event as the line that `linkerd viz tap` prints, printable. Authority and path are part of it only where the event has them.
 *
 * @param isWide with all labels at the end, sorted
 */
export function tapLine(event: TapEvent, { tls }: TapState, { isWide }: { readonly isWide: boolean }): string {
  const { proxy, source, destination, http } = event
  const direction = { in: 'in ', out: 'out', unknown: '???' }[proxy]
  const flow = `proxy=${direction} src=${addressText(source)} dst=${addressText(destination)} tls=${word(tls)}`
  const labels = isWide
    ? [...labelWords('src', source.labels), ...labelWords('dst', destination.labels), ...labelWords('rt', event.route)]
    : []
  return [...wordsOf(http, flow), ...labels].join(' ')
}

function wordsOf(http: TapEvent['http'], flow: string): string[] {
  if (http === null) return [`unknown ${flow}`]
  switch (http.kind) {
    case 'request':
      return [
        `req id=${http.id} ${flow} :method=${word(http.method)}`,
        ...(http.authority === null ? [] : [`:authority=${word(http.authority)}`]),
        ...(http.path === null ? [] : [`:path=${word(http.path)}`]),
      ]
    case 'response':
      return [`rsp id=${http.id} ${flow} :status=${http.status} latency=${http.sinceRequestMicros}µs`]
    case 'end': {
      const { grpcStatus, resetError } = http
      return [
        `end id=${http.id} ${flow}`,
        ...(grpcStatus === null ? [] : [`grpc-status=${GRPC_STATUS[grpcStatus] ?? `Code(${grpcStatus})`}`]),
        ...(resetError === null ? [] : [`reset-error=${resetError}`]),
        `duration=${http.sinceResponseMicros}µs response-length=${http.bytes}B`,
      ]
    }
  }
}

function addressText({ address, port }: TapEvent['source']): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

function labelWords(prefix: string, labels: ReadonlyMap<string, string>): string[] {
  return [...labels].map(([name, value]) => `${prefix}_${word(name)}=${word(value)}`)
}

/** Printable and without a space: nothing that a client sends may look like a further field of the line. */
function word(text: string): string {
  return printable(text).replaceAll(' ', codePointName(' '))
}

/** What came of listening, in a sentence. */
export function tapSentence(
  requests: readonly { readonly state: TapState['state']; readonly isOnProbePath: boolean }[],
  seconds: number,
  maxRps: number,
): string {
  const limits = `Only HTTP is tapped, at most ${maxRps} requests a second.`
  if (requests.length === 0)
    return `No request was seen in ${seconds} s: none came, or the tap API hangs, which looks the same. ${limits}`
  const counts = STATES.flatMap((state) => {
    const those = requests.filter((request) => request.state === state)
    const probes = those.filter(({ isOnProbePath }) => isOnProbePath).length
    return those.length === 0 ? [] : [`${those.length} ${state}${probes === 0 ? '' : ` (${probes} on a probe path)`}`]
  })
  const counted = requests.length === 1 ? '1 request was' : `${requests.length} requests were`
  return `${counted} seen in ${seconds} s: ${counts.join(', ')}. ${limits}`
}

/** Worst first. */
const STATES = ['plaintext', 'unknown', 'tls-anonymous', 'app-tls', 'mtls', 'exempt'] as const
