import { Readable } from 'node:stream'
import type WebSocket from 'ws'
import * as z from 'zod'
import { openWebSocket } from '../cluster/api-websocket.ts'
import type { ApiServerConnection, OpenWebSocketOptions } from '../cluster/api-websocket.ts'
import { connectionCode } from '../../net/error-messages.ts'
import { parseJson } from '../../text/parse-json.ts'
import { withoutSecrets } from '../../text/redact.ts'
import { UnreachableError } from '../../net/errors.ts'

/**
 * A command in a container, over the API server's WebSocket (kubernetes: staging/src/k8s.io/apimachinery/pkg/util/remotecommand): each binary message begins
 * with a byte for its channel. The last one is a Status that says how the command ended.
 */
const PROTOCOL = 'v5.channel.k8s.io'
const [STDOUT, STDERR, STATUS, CLOSE] = [1, 2, 3, 255]

/** Bytes of standard error and of the status that are kept. */
const SAID_BYTES = 8 * 1024

/** A container of a pod. The names are valid Kubernetes names. */
export type PodContainer = { readonly namespace: string; readonly pod: string; readonly container: string }

/** How a command ended. */
export type ExecEnding = {
  /** Null if the container's runtime could not run it, or does not say. */
  readonly code: number | null
  /** The end of its standard error, or why it was not run. */
  readonly said: string
}

/** A running command in a container. */
export type Execution = {
  /** Its standard output, as it arrives. Fails with an UnreachableError if the connection ended before the command. */
  readonly output: AsyncIterable<Uint8Array>
  /** Available after the output was read to its end. */
  readonly ending: () => ExecEnding | undefined
  /** Closes the connection. The command in the container is not signalled: it must end by itself. */
  readonly close: () => void
}

const statusSchema = z.object({
  status: z.string(),
  message: z.string().optional(),
  details: z
    .object({ causes: z.array(z.object({ reason: z.string().optional(), message: z.string() })).optional() })
    .nullish(),
})

/**
 * Starts a command in a container, without a terminal and without input.
 *
 * @throws UnreachableError with the reason of the refusal
 */
export function openExec(
  way: ApiServerConnection,
  { namespace, pod, container }: PodContainer,
  command: readonly string[],
  options: OpenWebSocketOptions,
): Promise<Execution> {
  const query = new URLSearchParams([
    ['container', container],
    ['stdout', 'true'],
    ['stderr', 'true'],
    ...command.map((word): [string, string] => ['command', word]),
  ])
  const path = `/api/v1/namespaces/${namespace}/pods/${pod}/exec?${query.toString()}`
  const late = `begin a command in pod "${pod}" in the namespace "${namespace}"`
  const asking = { path, protocol: PROTOCOL, late, resource: 'pods/exec', namespace } as const
  return openWebSocket(way, asking, options, (socket) => execution(socket, way.secrets))
}

function execution(socket: WebSocket, secrets: readonly string[]): Execution {
  let said: Buffer = Buffer.alloc(0)
  let status: Buffer = Buffer.alloc(0)
  let ending: ExecEnding | undefined
  const output = new Readable({
    read: () => socket.resume(),
    destroy: (error, done) => {
      socket.terminate()
      done(error)
    },
  })
  output.on('error', () => undefined) // the reader reports it
  const fail = (how: string): void => {
    if (!output.destroyed) output.destroy(new UnreachableError('connection', `the command's connection ${how}`))
  }
  const end = (): void => {
    if (output.destroyed || output.readableEnded || ending !== undefined) return
    ending = endingOf(status, said, secrets)
    if (ending === undefined) return fail('was closed before it ended')
    output.push(null)
    socket.terminate()
  }
  socket.on('message', (message, isBinary) => {
    if (output.destroyed || ending !== undefined) return
    if (!isBinary || !Buffer.isBuffer(message)) return fail('brought text where bytes were wanted')
    const payload = message.subarray(1)
    switch (message[0]) {
      case STDOUT:
        if (payload.length > 0 && !output.push(payload)) socket.pause()
        return
      case STDERR:
        said = Buffer.concat([said, payload]).subarray(-SAID_BYTES)
        return
      case STATUS:
        status = Buffer.concat([status, payload])
        if (status.length > SAID_BYTES) return fail('brought a status without end')
        // It may come in several messages: it is complete once it can be parsed.
        if (endingOf(status, said, secrets) !== undefined) end()
        return
      case CLOSE:
      case undefined:
        return
      default:
        fail(`brought a message on the unknown channel ${message[0]}`)
    }
  })
  socket.on('close', end)
  socket.on('error', (error) => fail(`broke (${connectionCode(error) || withoutSecrets(error.message, secrets)})`))
  return { output: output as AsyncIterable<Buffer>, ending: () => ending, close: () => void output.destroy() }
}

/** How a command ended, from its status; undefined while that is incomplete. */
function endingOf(status: Buffer, stderr: Buffer, secrets: readonly string[]): ExecEnding | undefined {
  const read = statusSchema.safeParse(parseJson(status))
  if (!read.success) return undefined
  const text = stderr.toString('utf8')
  if (read.data.status === 'Success') return { code: 0, said: text }
  const exit = read.data.details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message ?? ''
  if (/^\d{1,3}$/.test(exit)) return { code: Number(exit), said: text }
  return { code: null, said: withoutSecrets(read.data.message ?? 'it could not be run', secrets) }
}
