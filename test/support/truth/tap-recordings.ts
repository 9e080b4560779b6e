import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** What `linkerd viz tap` and the tap API said of a workload of the demo's recording at one time. */
export type TapRecording = {
  readonly name: string
  readonly namespace: string
  readonly workload: string
  /** The answer's bytes, and the body of the request. */
  readonly bytes: Buffer
  readonly request: Buffer
  /** The same events, decoded by Linkerd's own code. */
  readonly decoded: readonly Decoded[]
  /** The lines of `linkerd viz tap` and of `-o wide` at about that time. */
  readonly text: readonly string[]
  readonly wide: readonly string[]
}

type DecodedEnd = { readonly ip: { readonly ipv4: number }; readonly port: number }
type DecodedLabels = { readonly labels?: Readonly<Record<string, string>> }
type DecodedId = { readonly id: { readonly base?: number; readonly stream?: string } }

/** An event as protobuf's own JSON has it. */
export type Decoded = {
  readonly source: DecodedEnd
  readonly sourceMeta: DecodedLabels
  readonly destination: DecodedEnd
  readonly destinationMeta: DecodedLabels
  readonly proxyDirection: 'INBOUND' | 'OUTBOUND'
  readonly http: {
    readonly requestInit?: DecodedId & {
      readonly method: { readonly registered: string }
      readonly authority: string
      readonly path: string
    }
    readonly responseInit?: DecodedId & { readonly httpStatus: number; readonly sinceRequestInit: string }
    readonly responseEnd?: DecodedId & { readonly sinceRequestInit: string; readonly sinceResponseInit: string }
  }
}

const FOLDER = join(import.meta.dirname, '../../recordings/demo/tap')

/** All of them, oldest first. */
export function tapRecordings(): TapRecording[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.raw.bin'))
    .toSorted()
    .map((file) => {
      const name = file.replace(/\.raw\.bin$/, '')
      const [, namespace = '', target = ''] = name.split('.')
      const lines = (suffix: string): string[] =>
        readFileSync(join(FOLDER, `${name}${suffix}`), 'utf8')
          .trim()
          .split('\n')
      return {
        name,
        namespace,
        workload: target.replace(/^deploy_/, ''),
        bytes: readFileSync(join(FOLDER, file)),
        request: readFileSync(join(FOLDER, `${file}.request.bin`)),
        decoded: lines('.raw.bin.jsonl').map((line) => JSON.parse(line) as Decoded),
        text: lines('.txt'),
        wide: lines('.wide.txt'),
      }
    })
}

/** The frames of an answer, without their lengths. */
export function framesOf(bytes: Buffer): Buffer[] {
  const frames: Buffer[] = []
  for (let from = 0; from < bytes.length;) {
    const end = from + 4 + bytes.readUInt32LE(from)
    frames.push(bytes.subarray(from + 4, end))
    from = end
  }
  return frames
}

/** A message with its length before it. */
export function frameOf(message: Uint8Array): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(message.length)
  return Buffer.concat([length, message])
}
