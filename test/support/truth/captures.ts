import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { fromStamp, kubernetesFolder } from '../../../demo/fixture.ts'
import { PACKETS_FIXTURE } from '../../../record/record-packets.ts'
import { type ReadFlow, readFlows } from '../../../lib/assess/packets/flow-verdict.ts'
import { flowTable } from '../../../lib/assess/packets/flows.ts'
import { listedOf } from '../../../lib/assess/pods/lists.ts'
import type { PacketRow } from '../../../lib/observed/packet-rows.ts'
import { toSeconds } from '../../../lib/time/windows.ts'
import type { KubernetesList } from '../../../lib/model/snapshot.ts'
import type { Capture } from '../../../lib/store/evidence/captures.ts'
import type { ListsAround } from '../../../lib/history/lists-around.ts'

/** The names of the captures whose rows were recorded. */
export function captureNames(): string[] {
  return readdirSync(PACKETS_FIXTURE)
    .map((file) => file.replace(/\.ndjson\.gz$/, ''))
    .toSorted()
}

/** What tshark said of a recorded capture. */
export function captureRows(name: string): PacketRow[] {
  return gunzipSync(readFileSync(join(PACKETS_FIXTURE, `${name}.ndjson.gz`)))
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as PacketRow)
}

/** The flows of rows. */
export function flowsOf(rows: Iterable<PacketRow>): ReadFlow[] {
  const table = flowTable()
  for (const row of rows) table.add(row)
  return readFlows(table.flows())
}

/** The Kubernetes lists of a fixture next to a time. */
export function fixtureLists(fixture: string, time: string): ListsAround {
  const folder = kubernetesFolder(fixture)
  const stamps = readdirSync(folder).toSorted()
  const read = (stamp: string | undefined) =>
    stamp === undefined ? null : listedOf(readLists(join(folder, stamp)), toSeconds(fromStamp(stamp)))
  return {
    before: read(stamps.findLast((stamp) => fromStamp(stamp) <= time)),
    after: read(stamps.find((stamp) => fromStamp(stamp) > time)),
  }
}

function readLists(folder: string): KubernetesList[] {
  return readdirSync(folder).map((file) => {
    const { items } = JSON.parse(gunzipSync(readFileSync(join(folder, file))).toString()) as { items: unknown[] }
    return { resource: file.replace(/\.json\.gz$/, ''), version: 'v1', items }
  })
}

/** A capture as `packets --pod --save` keeps it; of nothing, unless told otherwise. */
export function captureOf(changes: Partial<Capture> = {}): Capture {
  return {
    cluster: 'shop',
    from: '2026-11-24T13:13:26Z',
    to: '2026-11-24T13:13:46Z',
    seconds: 20,
    port: null,
    place: {
      namespace: 'shop',
      pod: 'web-0',
      uid: 'u',
      container: 'linkerd-debug',
      node: null,
      addresses: ['10.0.0.1'],
    },
    collector: { name: 'ciphertrail', version: '0.0.0' },
    problem: null,
    packets: 57,
    flows: [],
    omitted: 0,
    ...changes,
  }
}
