import { join } from 'node:path'
import { z } from 'zod'
import { SETTLE_SECONDS, toSeconds, toTime } from '../../../lib/time/windows.ts'
import type { PathRow } from '../../../lib/model/history.ts'
import type { Window } from '../../../lib/model/time.ts'
import type { Workload } from '../../../lib/model/window.ts'
import { directoryObjects } from '../../../lib/store/objects/directory.ts'
import { readWindow } from '../../../lib/history/cluster-state.ts'
import { linesOf, run } from '../process/command-line.ts'
import type { KubernetesServer } from '../servers/kubernetes-server.ts'
import type { Reported } from './truth.ts'

/** A recorded mesh, and a fresh folder in which the command line is used on it. */
type Mesh = {
  readonly folder: string
  readonly kubernetes: KubernetesServer
  /** Absent: by port-forward through `kubernetes`. */
  readonly prometheusUrl?: string
  /** Oldest first. */
  readonly windows: readonly Window[]
}

/** Where {@link collectByCommand} keeps what it collects. */
export function storeFolder({ folder }: Pick<Mesh, 'folder'>): string {
  return join(folder, 'ciphertrail-data')
}

/**
 * Registers a mesh as cluster `mesh` and collects its windows one by one, each when it could first be collected, with processes of
 * `bin/ciphertrail.js`. Throws where one fails.
 */
export async function collectByCommand(mesh: Mesh): Promise<void> {
  const kubeconfig = join(mesh.folder, 'kubeconfig')
  mesh.kubernetes.writeKubeconfig(kubeconfig)
  const url = mesh.prometheusUrl === undefined ? [] : ['--prometheus-url', mesh.prometheusUrl]
  await command(mesh, 'cluster', 'add', 'mesh', '--kubeconfig', kubeconfig, ...url, '--window', '5m')
  for (const window of mesh.windows) await collectWindowByCommand(mesh, window)
}

/** Collects one window of a registered mesh, with the time of the Kubernetes API moved to when it could first be collected. */
export async function collectWindowByCommand(mesh: Mesh, { end }: Window): Promise<void> {
  const now = toTime(toSeconds(end) + SETTLE_SECONDS)
  mesh.kubernetes.setTime(now)
  await command(mesh, 'collect', '--cluster', 'mesh', '--at', end, '--now', now)
}

/** What the command line says of each window, by its end. Coverage, which no command lists, is read from the store. */
export async function reportedByCommand(mesh: Mesh): Promise<Map<string, Reported>> {
  const objects = directoryObjects(storeFolder(mesh))
  const reported = new Map<string, Reported>()
  for (const { start, end } of mesh.windows) {
    const [paths, workloads, result] = await Promise.all([
      command(mesh, 'paths', '--json', '--from', start, '--to', end),
      command(mesh, 'workloads', '--json', '--at', end),
      readWindow('mesh', start, objects),
    ])
    reported.set(end, {
      rows: linesOf(paths).map(readRow),
      workloads: linesOf(workloads).map((line) => JSON.parse(line) as Workload),
      coverage: result?.coverage ?? [],
    })
  }
  return reported
}

async function command(mesh: Mesh, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(args, { folder: mesh.folder })
  // Asked of a window in which nothing could be read, a command lists the rows that say so, and ends with 1.
  if (code !== 0 && !stderr.startsWith('Not collected: '))
    throw new Error(`Cannot go on: "ciphertrail ${args.join(' ')}" ended with ${code}: ${stderr}`)
  return stdout
}

const endJson = z.looseObject({ kind: z.string(), namespace: z.string().default(''), name: z.string().default('') })
const rowJson = z.looseObject({ source: endJson, destination: endJson, candidates: z.array(endJson) })

/** A line of `paths --json`; ends without a name have no fields for it. */
function readRow(line: string): PathRow {
  return rowJson.parse(JSON.parse(line)) as unknown as PathRow
}
