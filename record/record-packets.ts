import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { PacketRow } from '../lib/observed/packet-rows.ts'
import { readCapture } from '../lib/collect/packets/tshark.ts'

/**
 * `npm run record packets`: what tshark says of the recorded captures, one row a packet, without payload. Tests judge flows by these rows
 * where there is no tshark.
 */

const ROOT = join(import.meta.dirname, '..')

/** Where the rows lie. */
export const PACKETS_FIXTURE = join(ROOT, 'test/fixtures/packets')

/** The recorded captures, by the name of their fixture. `public` and `raw` are not part of the repository. */
export function recordedCaptures(publicFolder: string | undefined): ReadonlyMap<string, string> {
  const demo = ['voting-meshed', 'voting-unmeshed']
  const others = [
    'app-tls-client',
    'app-tls-in-mtls-client',
    'meshed-client',
    'mixed-client',
    'opaque-server',
    'plaintext-client',
    'probed-server',
    'server-with-two-clients',
    'udp-client',
    'unmeshed-client',
  ]
  return new Map([
    ...demo.map((name) => [`demo-${name}`, join(ROOT, 'test/recordings/demo/pcap', `${name}.pcap`)] as const),
    ...(publicFolder === undefined
      ? []
      : [
          ...others.map((name) => [`public-${name}`, join(publicFolder, 'pcap', `${name}.pcap`)] as const),
          ['raw-backend', join(publicFolder, '../raw/l-backend-eth0.pcap')] as const,
        ]),
  ])
}

/** Writes the rows of every recorded capture into a folder, which is emptied before. Throws CaptureError, and names a capture that is absent. */
export async function recordPackets(publicFolder: string | undefined, to = PACKETS_FIXTURE): Promise<void> {
  if (publicFolder === undefined)
    throw new Error(
      'Cannot record "packets": CIPHERTRAIL_RECORDINGS is not set, set it to the folder of the recording "public"',
    )
  rmSync(to, { recursive: true, force: true })
  mkdirSync(to, { recursive: true })
  for (const [name, file] of recordedCaptures(publicFolder)) {
    if (!existsSync(file)) throw new Error(`Cannot record "${name}": there is no "${file}"`)
    const rows: PacketRow[] = []
    for await (const row of readCapture(file, process.env['PATH'])) rows.push(row)
    const lines = rows.map((row) => `${JSON.stringify(row)}\n`).join('')
    writeFileSync(join(to, `${name}.ndjson.gz`), gzipSync(lines, { level: 9 }))
  }
}
