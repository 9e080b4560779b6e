import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { isMoment } from '../../time/windows.ts'
import { AGGREGATOR, PACKET_FIELDS, type PacketRow, packetNumber, parsePacketRow } from '../../observed/packet-rows.ts'
import { oneLine } from '../../text/redact.ts'

/** tshark is absent, or could not read a capture to its end. One line with the remedy. */
export class CaptureError extends Error {
  override readonly name = 'CaptureError'
}

/** Bytes from a running command, as they arrive: a local tshark, or one in a container. */
export type CommandBytes = AsyncIterable<Uint8Array>

/** A line holds a packet's payload in hexadecimal, and no packet is longer than 256 KiB. */
const MAX_LINE_LENGTH = 1024 * 1024

/** Length of standard error that is kept, in UTF-16 units. */
const ERROR_LENGTH = 8 * 1024

const NEWLINE = 0x0a

/**
 * The needed dissectors; all others are switched off. So a port of another protocol hides no TLS, and a capture, which may hold hostile input, reaches as
 * little of tshark's code as possible.
 */
export const DISSECTORS: ReadonlySet<string> = new Set(
  'frame pkt_comment data eth ethertype llc vlan ieee8021ad sll null raw mpls gre erspan vxlan geneve ip ipv6 tcp udp tls'.split(
    ' ',
  ),
)

/**
 * tshark drops its state of connections, and the memory for it, after this many packets. It misses a TLS record that spans the cut. Measured on two million
 * packets: 422 MB instead of 1236 MB.
 */
const SESSION_PACKETS = 100_000

/** Bounds the rest of its memory, about 110 bytes a packet. */
const MAX_PACKETS = 5_000_000

/** Arguments of tshark whose output {@link packetRows} understands. */
export const TSHARK_ARGUMENTS: readonly string[] = [
  '-n', // no names of hosts or services
  '-otcp.try_heuristic_first:TRUE', // TLS is TLS on every port
  `-M${SESSION_PACKETS}`,
  '-Tfields',
  '-Eoccurrence=a',
  `-Eaggregator=${AGGREGATOR}`,
  ...PACKET_FIELDS.map((field) => `-e${field}`),
]

/**
 * The packets in tshark's output, as they arrive.
 *
 * @param named the capture's name in messages, in quotes
 * @throws CaptureError if there are more than tshark has memory for, and for a line that tshark does not write
 */
export async function* packetRows(bytes: CommandBytes, named: string): AsyncGenerator<PacketRow> {
  let rest: Buffer = Buffer.alloc(0)
  let packets = 0
  let session = 0
  let number = 0
  for await (const chunk of bytes) {
    const lines = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk])
    let from = 0
    for (let end = lines.indexOf(NEWLINE); end >= 0; end = lines.indexOf(NEWLINE, from)) {
      const line = lines.subarray(from, end)
      from = end + 1
      if (++packets > MAX_PACKETS)
        throw new CaptureError(
          `Cannot read all of ${named}: it holds more than ${MAX_PACKETS} packets; what is shown comes from those, cut it with editcap (-A, -B) and read the parts`,
        )
      const next = packetNumber(line)
      if (next <= number) session++
      number = next
      const row = parsePacketRow(line, session)
      if (row === undefined) continue
      // If it were skipped, the packet would seem absent.
      if (!isMoment(row.time))
        throw new CaptureError(
          `Cannot read all of ${named}: a packet has a time that is in no year from 1970 to 9999; what is shown comes from the packets before`,
        )
      yield row
    }
    rest = lines.subarray(from)
    if (rest.length > MAX_LINE_LENGTH)
      throw new CaptureError(`Cannot read all of ${named}: tshark prints a line of more than ${MAX_LINE_LENGTH} bytes`)
  }
}

/**
 * Reads the TCP and UDP packets of a capture file, in its order, with the local tshark. Keeps nothing in memory and writes nothing.
 *
 * @param searchPath where programs are looked for (`PATH`)
 * @throws CaptureError if tshark is absent, and, after the readable packets, if it did not reach the end of the file
 */
export async function* readCapture(file: string, searchPath: string | undefined): AsyncGenerator<PacketRow> {
  await checkIsCapture(file)
  // Without the user's settings, keys and plugins a capture reads the same everywhere.
  const nowhere = join(tmpdir(), `ciphertrail-no-settings-${randomUUID()}`)
  const environment = {
    ...(searchPath === undefined ? {} : { PATH: searchPath }),
    HOME: nowhere,
    WIRESHARK_CONFIG_DIR: nowhere,
    LC_ALL: 'C.UTF-8',
    TZ: 'UTC',
  }
  const others = await otherDissectors(environment)
  // An absolute path, since `-` would be standard input.
  const child = start(
    [...TSHARK_ARGUMENTS, ...others.flatMap((name) => ['--disable-protocol', name]), '-r', resolve(file)],
    environment,
  )
  const named = `"${oneLine(file)}"`
  let rows = 0
  try {
    for await (const row of packetRows(child.output, named)) {
      rows++
      yield row
    }
    const { code, signal, said } = await child.ended
    if (code === 0) return
    const problem = code === null ? `tshark was ended by ${signal ?? 'a signal'}` : `tshark says: ${said}`
    throw new CaptureError(
      rows === 0
        ? `Cannot read ${named}: ${problem}`
        : `Cannot read all of ${named}: ${problem}; what is shown comes from the ${rows} packets before`,
    )
  } finally {
    child.kill()
  }
}

/** First bytes of captures: pcap in either byte order, with microseconds or nanoseconds, and pcapng. */
const MAGICS = new Set(['a1b2c3d4', 'd4c3b2a1', 'a1b23c4d', '4d3cb2a1', '0a0d0d0a'])

/** tshark accepts many kinds of files as captures, even plain text, in which it silently finds nothing. */
async function checkIsCapture(file: string): Promise<void> {
  const cannot = (state: string, options?: ErrorOptions): CaptureError =>
    new CaptureError(`Cannot read "${oneLine(file)}": ${state}`, options)
  const magic = Buffer.alloc(4)
  try {
    const handle = await open(file)
    try {
      await handle.read(magic, 0, magic.length, 0)
    } finally {
      await handle.close()
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    const state = { ENOENT: 'it does not exist', EACCES: 'it may not be read', EISDIR: 'it is a folder' }[code]
    throw cannot(state ?? `it cannot be opened (${code})`, { cause: error })
  }
  const digits = magic.toString('hex')
  if (MAGICS.has(digits)) return
  throw cannot(
    digits.startsWith('1f8b') ? 'it is compressed; unpack it with gunzip' : 'it is no capture, wanted pcap or pcapng',
  )
}

/** The names of all dissectors of this tshark except the needed ones. */
async function otherDissectors(environment: NodeJS.ProcessEnv): Promise<string[]> {
  const { output, ended } = start(['-G', 'protocols'], environment)
  const chunks: Uint8Array[] = []
  for await (const chunk of output) chunks.push(chunk)
  const { code, said } = await ended
  if (code !== 0) throw new CaptureError(`Cannot run tshark: it does not list its protocols but says: ${said}`)
  return Buffer.concat(chunks)
    .toString('utf8')
    .split('\n')
    .map((line) => line.split('\t')[2] ?? '')
    .filter((name) => name !== '' && !name.startsWith('_ws.') && !name.startsWith('ipv6.') && !DISSECTORS.has(name))
}

type Running = {
  readonly output: CommandBytes
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null; readonly said: string }>
  readonly kill: () => void
}

function start(commandLine: readonly string[], environment: NodeJS.ProcessEnv): Running {
  const child = spawn('tshark', commandLine, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = `${errors}${text}`.slice(-ERROR_LENGTH)
  })
  const ended = new Promise<Awaited<Running['ended']>>((settle, fail) => {
    child.on('close', (code, signal) => settle({ code, signal, said: lastLine(errors) }))
    child.on('error', (error) => fail(startError(error)))
  })
  ended.catch(() => undefined) // the awaiting caller reports it
  return { output: child.stdout as AsyncIterable<Buffer>, ended, kill: () => void child.kill('SIGKILL') }
}

function startError(error: Error): CaptureError {
  const isAbsent = 'code' in error && error.code === 'ENOENT'
  return new CaptureError(
    isAbsent
      ? 'Cannot read captures: tshark is not installed, it comes with Wireshark (Debian and Ubuntu: apt-get install tshark, macOS: brew install wireshark)'
      : `Cannot run tshark: ${oneLine(error.message)}`,
    { cause: error },
  )
}

/** Lines on standard error that are no problem. */
const SAID_ALWAYS = /^Running as user|^Capturing on |^\d+ packets? captured$|^\*\* \(tshark:\d+\) .*\[Main MESSAGE\]/

/** tshark's last line on standard error. */
export function lastLine(errors: string): string {
  const lines = errors.split('\n').map((line) => oneLine(line.replace(/^tshark: /, '')))
  return lines.findLast((line) => line !== '' && !SAID_ALWAYS.test(line)) ?? 'nothing'
}
