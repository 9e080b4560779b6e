import type { Command } from 'commander'
import { readClusters } from '../../lib/store/registry/registry.ts'
import { printable } from '../../lib/text/printable.ts'
import { type Console, UsageError } from '../console.ts'
import { emptyWords, openStore, placeOf } from '../open-store.ts'
import { readUrl } from '../option-values.ts'
import { startSite, untilStopped } from '../serve-site.ts'
import { type AccessOptions, accessOn, addAccessOptions, noTokens, openAccess } from './run/run-access.ts'
import { openIssuerSignIn } from './run/run-sign-in.ts'
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
      const tokens = await openAccess(options, console)
      const signIn = await openIssuerSignIn(options, url, console)
      const given = tokens ?? (signIn === undefined ? undefined : noTokens)
      // Refuses to answer everybody on the network; on this machine the link decides.
      accessOn(options.host, given)
      // Before anything is begun, so that no signal is missed.
      const stopped = untilStopped()
      const objects = openStore(options, console)
      // Not of a damaged registry: the pages say what cannot be read.
      const clusters = await readClusters({ objects }).catch(() => undefined)
      if (clusters?.length === 0) console.err(`The pages will be empty: ${emptyWords(objects)}`)
      await signIn?.issuer.ready()
      const server = await startSite(
        {
          objects,
          host: options.host,
          port,
          access: given ?? null,
          url,
          log,
          signIn,
          takesTokens: tokens !== undefined || signIn === undefined,
        },
        console,
      )
      console.out(`Serving store ${printable(placeOf(options, console.config))} at ${server.url} (reads only)`)
      console.out(
        server.link === null
          ? signIn === undefined
            ? 'Sign in there with a token.'
            : `Sign in at ${url ?? server.url}.`
          : `Open this link; it lets in whoever has it:\n  ${server.link}`,
      )
      await stopped
      await server.close(0)
    })
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
