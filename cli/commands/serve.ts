import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Command } from 'commander'
import { readStatus } from '../../lib/jobs/read-status.ts'
import type { Access } from '../../lib/query/access/access.ts'
import { localTokenAccess } from '../../lib/query/access/local-token.ts'
import { type Listening, listen } from '../../lib/query/listen.ts'
import { createSite } from '../../lib/query/site.ts'
import type { Objects } from '../../lib/store/objects/objects.ts'
import { readClusters } from '../../lib/store/registry/registry.ts'
import { printable } from '../../lib/text/printable.ts'
import { type Console, UsageError } from '../console.ts'
import { openStore, placeOf } from '../open-store.ts'
import { readUrl } from '../option-values.ts'
import { type AccessOptions, accessOn, addAccessOptions, openAccess } from './run/run-access.ts'
import { type RunLog, runLog } from './run/run-log.ts'

type ServeOptions = AccessOptions & {
  readonly host: string
  readonly port: string
  readonly url?: string
  readonly log?: string
  readonly store?: string
}

/** Adds `ciphertrail serve`. */
export function addServe(program: Command, console: Console): void {
  addAccessOptions(
    program
      .command('serve')
      .summary('the pages and the API of a store, in a browser: it only reads')
      .description(
        'Serves the pages for people and the HTTP API of a store until it is stopped. It reads only: it collects, seals and sends nothing; that is what "ciphertrail run" does, which serves the same. On a loopback address it prints a link that lets you in; on any other one, options must say who gets in.',
      ),
  )
    .option('--host <address>', 'where to listen', '127.0.0.1')
    .option('--port <n>', 'the port; 0 takes a free one', '8080')
    .option('--url <url>', 'where people reach it, where a proxy with TLS stands in front (default CIPHERTRAIL_URL)')
    .option('--log <form>', 'json or text: a line on standard output for each request (default: only failures)')
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail serve\n  ciphertrail serve --port 0\n  ciphertrail serve --host 0.0.0.0 --token-file /etc/ciphertrail/tokens \\\n      --url https://ciphertrail.example.com',
    )
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<ServeOptions>()
      const port = readPort(options.port)
      const log = readLog(options.log, console)
      const url = readUrl(options.url ?? console.config.url)
      const given = await openAccess(options, console.now)
      // Refuses to answer everybody on the network; on this machine the link decides.
      accessOn(options.host, given)
      // Before anything is begun, so that no signal is missed.
      const stopped = untilStopped()
      const objects = openStore(options, console)
      const server = await startSite({ objects, host: options.host, port, access: given ?? null, url, log }, console)
      console.out(`Serving store ${printable(placeOf(options, console.config))} at ${server.url} (reads only)`)
      console.out(
        server.link === null
          ? 'Sign in there with a token.'
          : `Open this link; it lets in whoever has it:\n  ${server.link}`,
      )
      await stopped
      await server.close(0)
    })
}

/** Resolves once the process is told to end. */
async function untilStopped(): Promise<void> {
  await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
}

/** A site that answers. */
type RunningSite = Listening & {
  /** The address that lets in whoever has it; null where tokens do. */
  readonly link: string | null
}

/**
 * Serves a store. Without `access` it makes a token of its own, which is right on a loopback address only.
 *
 * @param settings `log`: null logs failures alone, on standard error
 */
async function startSite(
  {
    objects,
    host,
    port,
    access,
    url,
    log,
  }: {
    readonly objects: Objects
    readonly host: string
    readonly port: number
    readonly access: Access | null
    readonly url: string | null
    readonly log: RunLog | null
  },
  { version, now, err }: Pick<Console, 'version' | 'now' | 'err'>,
): Promise<RunningSite> {
  const token = randomBytes(32).toString('base64url')
  const site = createSite(version, {
    objects,
    now,
    access: access ?? localTokenAccess(token),
    hasLink: access === null,
    isSecure: url?.startsWith('https:') === true,
    readStatus: (asked) => readStatus({ ...asked, version }, { objects }),
    isHealthy: async () => {
      await readClusters({ objects })
      return true
    },
    log: ({ error, ...request }) => {
      if (log !== null)
        log(error === null ? 'info' : 'error', 'request', error === null ? request : { ...request, error })
      else if (error !== null) err(`Cannot answer ${request.path}: ${error}`)
    },
  })
  const server = await listen(site.fetch, { host, port })
  return { ...server, link: access === null ? `${server.url}/enter/${token}` : null }
}

function readPort(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  throw new UsageError(`Cannot listen on port "${printable(text)}": wanted a number from 0 to 65535, 0 for a free one`)
}

function readLog(form: string | undefined, { out }: Console): RunLog | null {
  if (form === undefined) return null
  if (form !== 'json' && form !== 'text')
    throw new UsageError(`Cannot write the log as "${printable(form)}": wanted json or text`)
  return runLog(form, out)
}
