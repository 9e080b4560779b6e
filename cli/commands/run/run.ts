import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Cron } from 'croner'
import type { Command } from 'commander'
import { webhookPost } from '../../../lib/deliver/send/webhook.ts'
import type { Access } from '../../../lib/query/access/access.ts'
import { type SiteDeps, createSite } from '../../../lib/query/site.ts'
import { type Listening, listen } from '../../../lib/query/listen.ts'
import { printable } from '../../../lib/text/printable.ts'
import { checkedZone } from '../../../lib/time/checked-zone.ts'
import { type WorkerPool, workerPool } from '../../../lib/jobs/workers/worker-pool.ts'
import { readStatus } from '../../../lib/jobs/read-status.ts'
import { type RunningService, type ServiceDeps, createService } from '../../../lib/jobs/service.ts'
import { rememberEvidence } from '../../../lib/store/evidence/find-evidence.ts'
import { withFileLock } from '../../../lib/store/objects/file-lock.ts'
import { makeFolder } from '../../../lib/store/objects/folder.ts'
import { StoreError } from '../../../lib/store/objects/objects.ts'
import { readClusters } from '../../../lib/store/registry/registry.ts'
import { type Console, UsageError } from '../../console.ts'
import { type AccessOptions, accessOn, addAccessOptions, noTokens, openAccess, refuseOpenUrl } from './run-access.ts'
import { openIssuerSignIn } from './run-sign-in.ts'
import { type RunLog, runLog } from './run-log.ts'
import { workerSettings } from './worker.ts'
import { MAIL_HELP, openMail, publishAlert } from '../../mail-settings.ts'
import { addSignerOptions, openLastHead, openSigner, type SignerOptions } from '../../signer.ts'
import { openStore, placeOf, rightsFix } from '../../open-store.ts'
import { refuseFolders } from '../../operator-trust.ts'
import { addTimestampOptions, openTimestamping, type TsaOptions } from '../../timestamping.ts'
import { readDuration, readNumber, readUrl } from '../../option-values.ts'

/** The options of `run`. */
type RunOptions = SignerOptions &
  TsaOptions &
  AccessOptions & {
    readonly listen: string
    readonly timeZone?: string
    readonly concurrency: string
    readonly workerMemory: string
    readonly stopTimeout: string
    readonly log: string
    readonly mail?: string
    readonly url?: string
  }

/** What the command line said, checked. */
type RunSettings = {
  readonly host: string
  readonly port: number
  readonly access: Access
  readonly timeZone: string
  readonly clustersAtOnce: number
  readonly workerMemoryMb: number
  readonly stopMs: number
  readonly log: RunLog
  readonly mail: ServiceDeps['mail']
  /** People reach it by https. */
  readonly isHttps: boolean
  readonly signIn: SiteDeps['signIn']
  readonly takesTokens: boolean
}

/** Each minute, some seconds after it began: windows end with a minute, and everybody asks at its first second. */
const EACH_MINUTE = '5 * * * * *'

/** In a store that is a directory: held as long as somebody runs on it. */
const RUN_LOCK = '.run.lock'

const MAX_CLUSTERS_AT_ONCE = 100
const MAX_STOP_SECONDS = 3600
const MAX_WORKER_MB = 100_000

/** Adds `ciphertrail run`. */
export function addRun(program: Command, console: Console): void {
  addAccessOptions(
    addTimestampOptions(
      addSignerOptions(
        program
          .command('run')
          .summary('the service on one machine: collect, seal and report by itself, and answer over HTTP')
          .description(
            'Collects each window of the registered clusters once it is over, seals what was stored, keeps the report of each week in the store, sends mail and alerts to channels, and answers questions over HTTP. Stopped or killed at any time, it makes good what is missing when it starts again. Ends on SIGTERM or SIGINT.',
          ),
      ),
    ),
  )
    .option('--listen <address>', 'where to answer', '127.0.0.1:8080')
    .option('--time-zone <zone>', 'IANA time zone of the weeks of reports (default CIPHERTRAIL_TIME_ZONE, else UTC)')
    .option('--concurrency <n>', 'collect from so many clusters at once, each in a process of its own', '4')
    .option('--worker-memory <MB>', 'end a process that needs more memory than this for what a cluster wrote', '1000')
    .option('--stop-timeout <time>', 'when stopped, give what is under way this time to end', '8s')
    .option(
      '--mail <file>',
      'send the weekly mails and alerts by the server that this file names (default CIPHERTRAIL_MAIL, else no mail is sent)',
    )
    .option(
      '--url <url>',
      'where people reach this service, for links in mails (default CIPHERTRAIL_URL, else no links)',
    )
    .option('--log <form>', 'json or text: a line on standard output for each thing that happens', 'text')
    .addHelpText(
      'after',
      `\nExamples:\n  ciphertrail run\n  ciphertrail run --store /var/lib/ciphertrail --listen 0.0.0.0:8080 \\\n      --token-file /etc/ciphertrail/tokens --log json\n\nWithout --token-file, --jwt-issuer and --oidc-issuer it answers everybody on\nthis machine, and listens on a loopback address only; a --url of another address\nis then refused.\nThe report of a week is made six hours after its end, when nothing of it can be\ncollected any more.\n\n${MAIL_HELP}`,
    )
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<RunOptions>()
      const settings = await readSettings(options, console)
      await refuseFolders(console)
      const objects = rememberEvidence(openStore(options, console), console.now)
      const signer = await openSigner(options, console)
      const timestamping = await openTimestamping(options, console)
      const place = placeOf(options, console.config)
      const workers = workerPool(
        {
          ...workerSettings({ ...options, mail: options.mail ?? console.config.mail }),
          memoryMb: settings.workerMemoryMb,
        },
        objects,
      )
      const last = await openLastHead(options, console)
      const deps = { objects, signer, last, timestamping, workers, console, place }
      if (place.includes('://')) return serve(settings, deps)
      const ran = await withRunLock(place, () => serve(settings, deps))
      if (ran === undefined)
        throw new Error(
          `Cannot run on store "${printable(place)}": another "ciphertrail run" works on it, stop that one or choose another --store`,
        )
    })
}

async function mailOf(options: RunOptions, config: Console['config']): Promise<ServiceDeps['mail']> {
  const file = options.mail ?? config.mail
  if (file === undefined) return null
  return { ...(await openMail(file)), url: readUrl(options.url ?? config.url) }
}

async function readSettings(options: RunOptions, { config, now, out }: Console): Promise<RunSettings> {
  const [, host = '', digits = ''] = /^(\[[0-9a-f:]+\]|[^:[\]]+):(\d{1,5})$/i.exec(options.listen) ?? []
  const port = Number(digits)
  if (host === '' || port > 65_535)
    throw new UsageError(
      `Cannot listen on "${printable(options.listen)}": wanted an address and a port, such as 127.0.0.1:8080 or [::1]:8080`,
    )
  if (options.log !== 'json' && options.log !== 'text')
    throw new UsageError(`Cannot write the log as "${printable(options.log)}": wanted json or text`)
  const bare = host.replace(/^\[(.*)\]$/, '$1')
  const url = readUrl(options.url ?? config.url)
  const tokens = await openAccess(options, { config, now })
  const signIn = await openIssuerSignIn(options, url, { config, now })
  const given = tokens ?? (signIn === undefined ? undefined : noTokens)
  const access = accessOn(bare, given)
  refuseOpenUrl(url, given)
  return {
    host: bare,
    port,
    access,
    timeZone: readZone(options.timeZone ?? config.timeZone ?? 'UTC'),
    clustersAtOnce: readNumber('--concurrency', options.concurrency, MAX_CLUSTERS_AT_ONCE),
    workerMemoryMb: readNumber('--worker-memory', options.workerMemory, MAX_WORKER_MB),
    stopMs: readDuration('--stop-timeout', options.stopTimeout, MAX_STOP_SECONDS) * 1000,
    log: runLog(options.log, out),
    mail: await mailOf(options, config),
    isHttps: url?.startsWith('https:') === true,
    signIn,
    takesTokens: tokens !== undefined || signIn === undefined,
  }
}

function readZone(text: string): string {
  try {
    return checkedZone(text)
  } catch (error) {
    throw error instanceof RangeError ? new UsageError(printable(error.message)) : error
  }
}

/** Runs while nobody else does on the same directory; undefined, and nothing was run, where somebody does. Gone with its process, however that ends. */
async function withRunLock(place: string, run: () => Promise<void>): Promise<{ readonly result: void } | undefined> {
  try {
    await makeFolder(place, 0o700)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'it failed'
    throw new StoreError(`Cannot make store "${printable(place)}": ${code}, wanted a folder that can be written`, {
      cause: error,
    })
  }
  return withFileLock(join(place, RUN_LOCK), 0, run)
}

/** Runs until a signal comes, and until what is under way then has ended or its time is over. */
async function serve(
  { host, port, access, timeZone, clustersAtOnce, stopMs, log, mail, isHttps, signIn, takesTokens }: RunSettings,
  {
    objects,
    signer,
    last,
    timestamping,
    workers,
    console,
    place,
  }: Pick<ServiceDeps, 'objects' | 'signer' | 'last' | 'timestamping'> & {
    readonly workers: WorkerPool
    readonly console: Console
    readonly place: string
  },
): Promise<void> {
  const { version, now, config } = console
  // Before anything is begun, so that no signal is missed. The second one ends the process at once.
  const stopped = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  const service = createService(
    { version, timeZone, clustersAtOnce },
    {
      objects,
      signer,
      last,
      timestamping: timestamping ?? null,
      workers,
      now,
      log: ({ level, event, ...members }) => log(level, event, members),
      mail,
      post: webhookPost(config.allowedNetworks),
      publish: publishAlert,
      wait: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => undefined),
    },
  )
  const site = createSite(version, {
    objects,
    now,
    access,
    hasLink: false,
    isSecure: isHttps,
    signIn,
    takesTokens,
    readStatus: (asked) => readStatus({ ...asked, version }, { objects }),
    isHealthy: async () => service.isHealthy(),
    queuePack: async (report) => service.pack(report),
    log: ({ error, ...request }) =>
      log(error === null ? 'info' : 'error', 'request', error === null ? request : { ...request, error }),
  })
  const server = await listen(site.fetch, { host, port })
  log('info', 'started', { url: server.url, store: place, timeZone, version })
  const fix = await rightsFix(place)
  if (fix !== null) log('warn', 'readable', { store: place, fix })
  await logReplays(objects, log)
  void checkIssuer(signIn, log)
  const clock = new Cron(EACH_MINUTE, { timezone: 'UTC' }, () => service.tick())
  void service.tick()
  await stopped
  clock.stop()
  log('info', 'stopping', { seconds: stopMs / 1000 })
  const isDone = await stop(service, server, stopMs)
  workers.close()
  log('info', 'stopped', { abandoned: !isDone })
  // What is under way holds connections open; nothing of it is half written, and the next start makes it good.
  if (!isDone) process.exit(0)
}

/** Windows are collected also while nobody can sign in: the issuer is asked again for whoever does. */
async function checkIssuer(signIn: SiteDeps['signIn'], log: RunLog): Promise<void> {
  try {
    await signIn?.issuer.ready()
  } catch (error) {
    log('warn', 'sign-in', { message: error instanceof Error ? error.message : 'it failed' })
  }
}

/** Says once of which clusters nothing is collected. A registry that cannot be read is told where windows are planned. */
async function logReplays(objects: ServiceDeps['objects'], log: RunLog): Promise<void> {
  const clusters = await readClusters({ objects }).catch(() => [])
  for (const { id, replay } of clusters)
    if (replay !== undefined) log('info', 'replay', { cluster: id, message: 'nothing is collected from a replay' })
}

/** False where something was still under way when the time was over. */
async function stop(service: RunningService, server: Listening, stopMs: number): Promise<boolean> {
  service.stop()
  const { promise: late, resolve } = Promise.withResolvers<false>()
  const timer = setTimeout(() => resolve(false), stopMs)
  const ended = Promise.all([service.idle(), server.close(stopMs)]).then(() => true)
  const isDone = await Promise.race([ended, late])
  clearTimeout(timer)
  return isDone
}
