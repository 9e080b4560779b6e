import type { Command } from 'commander'
import { endNamer } from '../../lib/assess/packets/flow-ends.ts'
import { type ReadFlow, readFlows } from '../../lib/assess/packets/flow-verdict.ts'
import { flowTable } from '../../lib/assess/packets/flows.ts'
import type { PacketEnd, PacketRow } from '../../lib/observed/packet-rows.ts'
import { capturePod, findCapturePlace } from '../../lib/collect/packets/pod-capture.ts'
import { CaptureError, readCapture } from '../../lib/collect/packets/tshark.ts'
import { timeOf, toTime } from '../../lib/time/windows.ts'
import type { Cluster } from '../../lib/model/registry.ts'
import type { Endpoint } from '../../lib/model/path.ts'
import {
  FLOW_PLACES,
  type FlowPlace,
  type FlowRow,
  type NamedFlow,
  flowRows,
  flowSentence,
} from '../../lib/report/terminal/packet-flows.ts'
import { capturedFlows, writeCapture } from '../../lib/store/evidence/captures.ts'
import { listsAround } from '../../lib/history/lists-around.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { historyProblem } from '../../lib/history/history-problem.ts'
import { printable } from '../../lib/text/printable.ts'
import { type Console, FailedError, UsageError } from '../console.ts'
import { toJson } from '../../lib/text/format-json.ts'
import { chosenClusters, onlyCluster, openStore } from '../open-store.ts'
import { openRegistered } from '../operator-trust.ts'
import { type TerminalColumn, tableLines } from '../terminal-table.ts'
import { readDuration, readPort } from '../option-values.ts'

/** The options of `packets`. */
type PacketsOptions = {
  readonly port?: string
  readonly pod?: string
  readonly for?: string
  readonly save?: boolean
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
      'Reads a capture by tshark, or captures in the debug container of a pod, and says of each connection what its packets show. Payload is neither printed nor kept. What is called TLS has a whole handshake in the capture; a connection that began before it is unknown.',
    )
    .argument('[file]', 'a capture, pcap or pcapng')
    .option('--pod <ns/name>', "instead of a file: capture in this pod, by tshark in Linkerd's debug container")
    .option('--for <time>', '... for so long: 30s, 5m (default 30s)')
    .option('--save', '... and keep what it showed as evidence, which seal makes a leaf of the log')
    .option('--port <n>', 'only connections of this port')
    .option(
      '--cluster <id>',
      "name addresses by the Kubernetes lists next to the capture's time in the store; with --pod, the cluster it is in",
    )
    .option('--json', 'one JSON object for each connection')
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail packets backend.pcap\n  ciphertrail packets backend.pcap --port 4143 --cluster prod --json\n  ciphertrail packets --pod shop/web-7d9c --for 1m --port 8080',
    )
    .action(async (file: string | undefined, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<PacketsOptions>()
      const { cluster: id, json, store } = options
      const port = options.port === undefined ? undefined : readPort(options.port)
      const source = readSource(file, options)
      const objects = openStore({ store }, console)
      const [cluster] =
        'pod' in source
          ? [await onlyCluster(objects, id, 'capture')]
          : id === undefined
            ? []
            : await chosenClusters(objects, [id])
      const { flows, packets, problem } =
        'pod' in source && cluster !== undefined
          ? await flowsOfPod(cluster, source, port, { objects, store, console, isSaved: options.save === true })
          : await flowsOf(readCapture('file' in source ? source.file : '', console.config.searchPath), port, console)
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

/** Where packets come from. */
type Source =
  | { readonly file: string }
  | { readonly pod: { readonly namespace: string; readonly name: string }; readonly seconds: number }

/** A sample: whoever wants more captures into a file. */
const MAX_SECONDS = 600

function readSource(file: string | undefined, { pod, for: duration, save }: PacketsOptions): Source {
  if ((file === undefined) === (pod === undefined))
    throw new UsageError('Cannot read packets: give either a file or --pod NAMESPACE/NAME')
  if (file !== undefined) {
    if (save === true)
      throw new UsageError(
        'Cannot use --save with a file: nobody knows where and when it was captured; it goes with --pod',
      )
    if (duration !== undefined) throw new UsageError('Cannot use --for with a file: it goes with --pod')
    return { file }
  }
  const [namespace, name, ...more] = (pod ?? '').split('/')
  if (!isName(namespace) || !isName(name) || more.length > 0)
    throw new UsageError(`Cannot read --pod "${printable(pod ?? '')}": wanted NAMESPACE/NAME, such as shop/web-7d9c`)
  return { pod: { namespace, name }, seconds: readDuration('--for', duration ?? '30s', MAX_SECONDS) }
}

function isName(text: string | undefined): text is string {
  return text !== undefined && /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/.test(text)
}

/** Captures in a pod, and gives its flows. */
async function flowsOfPod(
  cluster: Cluster,
  { pod, seconds }: Extract<Source, { readonly pod: unknown }>,
  port: number | undefined,
  {
    objects,
    store,
    console,
    isSaved,
  }: {
    readonly objects: Objects
    readonly store: string | undefined
    readonly console: Console
    readonly isSaved: boolean
  },
): ReturnType<typeof flowsOf> {
  const access = await openRegistered(cluster, { store }, console)
  try {
    const place = await findCapturePlace(access, cluster, pod)
    console.progress(`Capturing in ${pod.namespace}/${pod.name} for ${seconds} s`)
    const from = console.now()
    const read = await flowsOf(capturePod(access, cluster, place, { seconds, port }), port, console)
    if (!isSaved) return read
    const { packets, problem } = read
    const key = await writeCapture(
      {
        cluster: cluster.id,
        from: timeOf(from),
        to: timeOf(console.now()),
        seconds,
        port: port ?? null,
        place,
        collector: { name: 'ciphertrail', version: console.version },
        problem,
        packets,
        ...capturedFlows(read.flows),
      },
      objects,
    )
    console.err(`Kept as evidence: ${key}`)
    return read
  } finally {
    console.progressEnd()
    await access.close()
  }
}

/** The flows of a capture. What cannot be read to its end is read as far as it goes, and `problem` says so in a line. */
async function flowsOf(
  capture: AsyncIterable<PacketRow>,
  port: number | undefined,
  console: Console,
): Promise<{ flows: ReadFlow[]; packets: number; problem: string | null }> {
  const table = flowTable()
  let packets = 0
  let problem: string | null = null
  try {
    for await (const row of capture) {
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
  const columns: TerminalColumn<FlowRow>[] = [
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
