import { type Command, Option } from 'commander'
import { isOnProbePath, readTap, type TapState } from '../../lib/assess/window/tap-reading.ts'
import { TAP_KINDS, tapEvents } from '../../lib/collect/tap/watch-tap.ts'
import type { TapEvent, TapTarget } from '../../lib/observed/tap-events.ts'
import { printable } from '../../lib/text/printable.ts'
import { tapLine, tapSentence } from '../../lib/report/terminal/tap-lines.ts'
import { type Console, UsageError } from '../console.ts'
import { toJson } from '../../lib/text/format-json.ts'
import { KINDS } from '../../lib/assess/ends/workload-kinds.ts'
import { onlyCluster, openStore } from '../open-store.ts'
import { openRegistered } from '../operator-trust.ts'
import { readDuration, readNumber } from '../option-values.ts'
import { SourceError } from '../../lib/net/errors.ts'
import { plural } from '../../lib/report/words/vocabulary.ts'

/** The options of `tap`. */
type TapOptions = {
  readonly namespace?: string
  readonly cluster?: string
  readonly for: string
  readonly maxRps: string
  readonly output: 'text' | 'wide' | 'json'
  readonly json?: boolean
  readonly showPaths?: boolean
  readonly store?: string
}

/** The longest that is listened: a sample, no recording. */
const MAX_SECONDS = 3600

/** More than the proxies of any workload send. */
const MAX_RPS = 100_000

/** Adds `ciphertrail tap`. */
export function addTap(program: Command, console: Console): void {
  program
    .command('tap')
    .summary('what the proxies of a workload see of its HTTP requests just now')
    .description(
      "Listens through the tap API of Linkerd's viz extension and prints what linkerd viz tap prints, without paths and authorities. Headers are never asked for. Only HTTP between proxies that allow it is seen; nothing is stored.",
    )
    .argument('<target>', 'KIND/NAME: deploy/web, sts/db, pod/web-1, ns/shop, ...')
    .option('-n, --namespace <ns>', 'namespace of the target')
    .option('--cluster <id>', 'which cluster; may be left out where only one is registered')
    .option('--for <time>', 'how long to listen: 30s, 5m', '10s')
    .option('--max-rps <n>', 'requests a second, over all pods of the target', '100')
    .addOption(new Option('-o, --output <format>', 'format').choices(['text', 'wide', 'json']).default('text'))
    .option('--json', 'one JSON object for each event')
    .option('--show-paths', 'also authorities and paths, which may hold names of people')
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail tap deploy/web -n shop\n  ciphertrail tap ns/shop --for 1m -o wide\n  ciphertrail tap deploy/web -n shop --json',
    )
    .action(async (text: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<TapOptions>()
      const seconds = readDuration('--for', options.for, MAX_SECONDS)
      const target = readTarget(text, options)
      const cluster = await onlyCluster(openStore(options, console), options.cluster, 'tap')
      const access = await openRegistered(cluster, options, console)
      const withPaths = options.showPaths === true
      const requests: { readonly state: TapState['state']; readonly isOnProbePath: boolean }[] = []
      const started = performance.now()
      try {
        console.progress(`Listening to ${target.kind}/${target.name} for ${seconds} s`)
        const events = tapEvents(access.kubernetes, cluster, target, { forMs: seconds * 1000, withPaths })
        for await (const event of events) {
          const read = readTap(event)
          if (event.http?.kind === 'request') requests.push({ state: read.state, isOnProbePath: isOnProbePath(event) })
          print(event, read, options, console)
        }
        // A server may end it before the time is over.
        const heard = Math.min(seconds, Math.round((performance.now() - started) / 1000))
        console.err(tapSentence(requests, heard, target.maxRps))
      } catch (error) {
        if (error instanceof SourceError && requests.length > 0)
          console.err(`What came before: ${plural(requests.length, 'request')}`)
        throw error
      } finally {
        await access.close()
      }
    })
}

function readTarget(text: string, { namespace, maxRps: rps }: TapOptions): TapTarget {
  const [kindText = '', name = '', ...more] = text.split('/')
  const known = ['ns', 'namespaces'].includes(kindText) ? 'namespace' : (KINDS[kindText.toLowerCase()] ?? kindText)
  const kind = TAP_KINDS.find((one) => one === known)
  if (kind === undefined || name === '' || more.length > 0)
    throw new UsageError(
      `Cannot tap "${printable(text)}": wanted KIND/NAME, and for KIND one of ${TAP_KINDS.join(', ')}`,
    )
  const isNamespace = kind === 'namespace'
  if (!isNamespace && namespace === undefined)
    throw new UsageError(`Cannot tap "${printable(text)}": give its namespace with -n`)
  if (isNamespace && namespace !== undefined && namespace !== name)
    throw new UsageError(`Cannot tap "${printable(text)}" in another namespace: leave -n out`)
  const maxRps = readNumber('--max-rps', rps, MAX_RPS)
  return { kind, namespace: isNamespace ? '' : (namespace ?? ''), name, maxRps }
}

function print(event: TapEvent, read: TapState, { output, json }: TapOptions, console: Console): void {
  if (json === true || output === 'json') {
    console.out(tapJson(event, read))
    return
  }
  const line = tapLine(event, read, { isWide: output === 'wide' })
  const { colors } = console
  console.out(read.state === 'plaintext' ? colors.red(line) : read.state === 'unknown' ? colors.yellow(line) : line)
}

function tapJson(event: TapEvent, { tls, state }: TapState): string {
  const { proxy, source, destination, route, http } = event
  const end = ({ address, port, labels }: TapEvent['source']) => ({
    ip: address,
    port,
    metadata: Object.fromEntries(labels),
  })
  const { kind = 'unknown', ...details } = http ?? {}
  return toJson({
    event: kind,
    proxy,
    source: end(source),
    destination: end(destination),
    routeMeta: Object.fromEntries(route),
    tls,
    state,
    probePath: isOnProbePath(event),
    ...withoutNulls(details),
  })
}

/** What was not asked for is absent; counts beyond 2^53 are text. */
function withoutNulls(details: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(details)
      .filter(([, value]) => value !== null)
      .map(([name, value]: [string, unknown]) => [name, typeof value === 'bigint' ? safeNumber(value) : value]),
  )
}

function safeNumber(value: bigint): number | string {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : String(value)
}
