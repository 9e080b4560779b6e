import type { ChannelOptions } from '../../../lib/deliver/channel/channel.ts'
import { UsageError } from '../../console.ts'
import { printable } from '../../../lib/text/printable.ts'
import type { Console } from '../../console.ts'
import { refuseAddress, addressCheck } from '../../../lib/net/refused-addresses.ts'
import { UnreachableError, SetupError } from '../../../lib/net/errors.ts'
import { resolve } from 'node:path'

/** The options of every command that reads the store; absent: not given. */
export type StoreOptions = { readonly json?: boolean; readonly store?: string }

/** The options of `channel add`, as commander reads them; absent: not given, so that what is registered stays. */
export type AddChannelOptions = StoreOptions & {
  readonly to?: string[]
  readonly cluster?: string[]
  readonly allClusters?: boolean
  readonly namespace?: string[]
  readonly allNamespaces?: boolean
  readonly team?: string
  readonly timeZone?: string
  readonly at?: string
  readonly language?: string
  readonly format?: string
  readonly alerts?: string
  readonly webhook?: string | false
  readonly webhookSecretFile?: string
  readonly webhookSecret?: string
  readonly webhookFormat?: string
  readonly sns?: string | false
  readonly downloadLinks?: string
  readonly attachPdf?: string
}

/** What the options of `channel add` say of a channel. Throws UsageError where they contradict each other or have no meaning. */
export function optionsOf(id: string, options: AddChannelOptions): ChannelOptions {
  const { to, cluster, allClusters, namespace, allNamespaces, team, timeZone, at, language, format } = options
  for (const [name, all, some] of [
    ['cluster', allClusters, cluster],
    ['namespace', allNamespaces, namespace],
  ] as const)
    if (all === true && some !== undefined)
      throw new UsageError(`Cannot use --all-${name}s together with --${name}: give one of them`)
  return {
    id,
    ...(to === undefined ? {} : { recipients: to }),
    ...(allClusters === true ? { clusters: [] } : cluster === undefined ? {} : { clusters: cluster }),
    ...(allNamespaces === true ? { namespaces: [] } : namespace === undefined ? {} : { namespaces: namespace }),
    ...(team === undefined ? {} : { team }),
    ...(timeZone === undefined ? {} : { timeZone }),
    ...(at === undefined ? {} : { sendAt: at }),
    ...(language === undefined ? {} : { language }),
    ...(format === undefined ? {} : { format }),
    ...alertOptions(options),
    ...switchOption('hasDownloads', '--download-links', options.downloadLinks),
    ...switchOption('attachesPdf', '--attach-pdf', options.attachPdf),
  }
}

/** An option that is on or off; nothing where it is not given. Throws UsageError. */
function switchOption(
  member: 'hasAlerts' | 'hasDownloads' | 'attachesPdf',
  option: string,
  text: string | undefined,
): Partial<ChannelOptions> {
  if (text === undefined) return {}
  if (text !== 'on' && text !== 'off')
    throw new UsageError(`Cannot use ${option} "${printable(text)}": wanted on or off`)
  return { [member]: text === 'on' }
}

/** Says at once where no alert would be posted; a name is looked at when it is posted to. Throws UsageError. */
export function refuseWebhook(id: string, { webhook }: AddChannelOptions, { config }: Console): void {
  const url = typeof webhook === 'string' ? URL.parse(webhook) : null
  if (url === null) return
  try {
    refuseAddress(url, addressCheck(config.allowedNetworks))
  } catch (error) {
    if (!(error instanceof UnreachableError || error instanceof SetupError)) throw error
    const hint = error instanceof UnreachableError ? `; ${error.hint}` : ''
    throw new UsageError(`Cannot add channel "${printable(id)}": ${error.message}${hint}`)
  }
}

function alertOptions({
  alerts,
  webhook,
  webhookSecretFile,
  webhookSecret,
  webhookFormat,
  sns,
}: AddChannelOptions): Partial<ChannelOptions> {
  const secrets = [webhookSecretFile, webhookSecret].filter((one) => one !== undefined)
  if (secrets.length !== (typeof webhook === 'string' ? 1 : 0))
    throw new UsageError(
      'Cannot use a webhook: --webhook and either --webhook-secret-file or --webhook-secret go together',
    )
  return {
    ...switchOption('hasAlerts', '--alerts', alerts),
    ...(webhook === false ? { webhook: null } : {}),
    ...(webhookFormat === undefined ? {} : { webhookFormat }),
    ...(typeof webhook === 'string'
      ? {
          webhook: {
            url: webhook,
            ...(webhookSecretFile === undefined ? {} : { secretFile: resolve(webhookSecretFile) }),
            ...(webhookSecret === undefined ? {} : { secret: webhookSecret }),
          },
        }
      : {}),
    ...(sns === false ? { snsTopic: null } : sns === undefined ? {} : { snsTopic: sns }),
  }
}
