import type { Command } from 'commander'
import { endNamer } from '../lib/assess/flow-ends.ts'
import { type ReadFlow, readFlows } from '../lib/assess/flow-verdict.ts'
import { flowTable } from '../lib/assess/flows.ts'
import type { PacketEnd } from '../lib/collect/packet-rows.ts'
import { CaptureError, readCapture } from '../lib/collect/tshark.ts'
import { toTime } from '../lib/collect/windows.ts'
import type { Cluster, Endpoint } from '../lib/model.ts'
import {
  FLOW_PLACES,
  type FlowPlace,
  type FlowRow,
  type NamedFlow,
  flowRows,
  flowSentence,
} from '../lib/report/flows.ts'
import { listsAround } from '../lib/store/lists-around.ts'
import type { Objects } from '../lib/store/objects.ts'
import { historyProblem } from '../lib/store/history-problem.ts'
import { type Console, FailedError } from './console.ts'
import { toJson } from '../lib/report/json.ts'
import { chosenClusters, openStore } from './store.ts'
import { type Column, tableLines } from './table.ts'
import { readPort } from './values.ts'

/** The options of `packets`. */
type PacketsOptions = {
  readonly port?: string
  readonly cluster?: string
  readonly json?: boolean
  readonly store?: string
}

const PROGRESS_PACKETS = 5_000

const TITLES: Readonly<Record<FlowPlace, string>> = {
  network: 'Between hosts, TCP',
  udp: 'UDP',
  loopback: 'Loopback: an application and its own proxy',
}

/** Adds `ciphertrail packets`. */
export function addPackets(program: Command, console: Console): void {
  program
    .command('packets')
    .summary('what a packet capture shows: TLS, clear, or no payload')
    .description(
      'Reads a capture by tshark and says of each connection what its packets show. Payload is neither printed nor kept. What is called TLS has a whole handshake in the capture; a connection that began before it is unknown.',
    )
    .argument('<file>', 'a capture, pcap or pcapng')
    .option('--port <n>', 'only connections of this port')
    .option('--cluster <id>', "name addresses by the Kubernetes lists next to the capture's time in the store")
    .option('--json', 'one JSON object for each connection')
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail packets backend.pcap\n  ciphertrail packets backend.pcap --port 4143 --cluster prod --json',
    )
    .action(async (file: string, _: unknown, command: Command) => {
      const { port: portText, cluster: id, json, store } = command.optsWithGlobals<PacketsOptions>()
      const port = portText === undefined ? undefined : readPort(portText)
      const objects = openStore({ store }, console)
      const [cluster] = id === undefined ? [] : await chosenClusters(objects, [id])
      const { flows, packets, problem } = await flowsOf(file, port, console)
      const nameEnd = cluster === undefined ? () => null : await namesFrom(cluster, flows, objects, console)
      const named = flows.map((flow) => ({
        ...flow,
        clientWorkload: nameEnd(flow.client),
        serverWorkload: nameEnd(flow.server),
      }))
      if (json === true) for (const flow of named) console.out(flowJson(flow))
      else if (named.length === 0) console.err(`No TCP or UDP packets found in ${packets === 0 ? 'it' : 'that port'}.`)
      else print(named, packets, console)
      if (problem === null) return
      console.err(problem)
      throw new FailedError()
    })
}

/** The flows of a capture. What cannot be read to its end is read as far as it goes, and `problem` says so in a line. */
async function flowsOf(
  file: string,
  port: number | undefined,
  console: Console,
): Promise<{ flows: ReadFlow[]; packets: number; problem: string | null }> {
  const table = flowTable()
  let packets = 0
  let problem: string | null = null
  try {
    for await (const row of readCapture(file, console.config.searchPath)) {
      packets++
      if (packets % PROGRESS_PACKETS === 0) console.progress(`${packets} packets`)
      if (port === undefined || row.source.port === port || row.destination.port === port) table.add(row)
    }
  } catch (error) {
    if (!(error instanceof CaptureError) || packets === 0) throw error
    problem = error.message
  }
  if (table.omitted() > 0)
    problem ??= `Cannot list all connections: there are too many, ${table.omitted()} packets are not told; choose some with --port`
  console.progressEnd()
  return { flows: readFlows(table.flows()), packets, problem }
}

async function namesFrom(
  cluster: Cluster,
  flows: readonly ReadFlow[],
  objects: Objects,
  console: Console,
): Promise<(end: PacketEnd) => Endpoint | null> {
  const time = spanOf(flows)
  if (time === null) return () => null
  const problem = await historyProblem(cluster, objects)
  const lists = problem === undefined ? await listsAround(cluster.id, time.start, objects) : undefined
  const taken = [lists?.before, lists?.after].flatMap((listed) => (listed ? [toTime(listed.takenAt)] : []))
  if (lists === undefined || taken.length === 0) {
    console.err(problem ?? `No address is named: the store holds no Kubernetes lists of cluster "${cluster.id}"`)
    return () => null
  }
  console.err(`Addresses are named by the lists of cluster "${cluster.id}" of ${taken.join(' and ')}`)
  return endNamer(lists, time, cluster.linkerdNamespace)
}

function spanOf(flows: readonly ReadFlow[]): { start: number; end: number } | null {
  if (flows.length === 0) return null
  return {
    start: flows.reduce((earliest, { from }) => Math.min(earliest, from), Infinity),
    end: flows.reduce((latest, { to }) => Math.max(latest, to), -Infinity),
  }
}

function print(flows: readonly NamedFlow[], packets: number, console: Console): void {
  const time = spanOf(flows)
  if (time !== null)
    console.out(
      `${flowSentence(flows)}. ${packets} packets from ${toTime(Math.floor(time.start))} to ${toTime(Math.ceil(time.end))}.`,
    )
  const { colors } = console
  const columns: Column<FlowRow>[] = [
    { heading: 'CLIENT', text: ({ client }) => client },
    { heading: 'SERVER', text: ({ server }) => server },
    {
      heading: 'VERDICT',
      text: ({ verdict }) => verdict,
      color: (text, { flow }) =>
        flow.verdict === 'clear' ? colors.red(text) : flow.verdict === 'unknown' ? colors.yellow(text) : text,
    },
    { heading: 'FLOWS', text: ({ flows: count }) => String(count) },
    { heading: 'PACKETS', text: ({ packets: count }) => String(count) },
    { heading: 'DETAIL', text: ({ detail }) => detail || '-' },
  ]
  const rows = Map.groupBy(flowRows(flows), ({ place }) => place)
  for (const place of FLOW_PLACES) {
    const here = rows.get(place)
    if (here === undefined) continue
    console.out(`\n${TITLES[place]}`)
    for (const line of tableLines(here, columns)) console.out(line)
  }
}

function flowJson(flow: NamedFlow): string {
  const { client, server, sent, tls } = flow
  return toJson({
    protocol: flow.protocol,
    client: { ...client, workload: flow.clientWorkload },
    server: { ...server, workload: flow.serverWorkload },
    directionSeen: flow.isDirectionSeen,
    from: toTime(flow.from),
    to: toTime(flow.to),
    packets: flow.packets,
    bytes: { client: sent.client.bytes, server: sent.server.bytes },
    verdict: flow.verdict,
    reason: flow.reason,
    tls:
      tls === null
        ? null
        : {
            version: tls.version,
            serverName: tls.serverName,
            alpn: { offered: tls.offered, chosen: tls.chosen },
            clientCertificate: tls.clientCertificate,
            identity: tls.identity === null ? null : `${tls.identity.serviceAccount}.${tls.identity.namespace}`,
          },
    loopback: flow.isLoopback,
    whole: sent.client.isWhole && sent.server.isWhole,
  })
}
