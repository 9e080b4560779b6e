import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { delimiter, join, relative, resolve, sep } from 'node:path'
import { openCluster } from '../lib/collect/cluster/open-cluster.ts'
import type { OpenOptions } from '../lib/collect/cluster/open-cluster.ts'
import { type CredentialPlaces, checkPlace } from '../lib/net/credential-places.ts'
import type { Cluster } from '../lib/model/registry.ts'
import { printable } from '../lib/text/printable.ts'
import { fileTrust } from '../lib/store/registry/trust-file.ts'
import { noteTrust } from '../lib/jobs/trust-note.ts'
import type { Trust } from '../lib/store/registry/trust.ts'
import { type Console, UsageError } from './console.ts'
import { openStore, placeOf, storePlace } from './open-store.ts'
import type { ClusterAccess } from '../lib/collect/cluster/cluster-access.ts'
import { SetupError } from '../lib/net/errors.ts'

/** The options that say where the store is, and where the files of a command that are no credentials of a cluster. */
export type TrustOptions = {
  readonly store?: string | undefined
  readonly key?: string | undefined
  readonly tokenFile?: string | undefined
  readonly mail?: string | undefined
}

/** What vouches for the ways into clusters: a file outside the store, or a signature by a key of KMS. Throws UsageError where neither has a place. */
export function openTrust({ store }: TrustOptions, console: Console): Trust {
  const { config } = console
  const place = storePlace({ store }, console)
  if (config.trustKey === undefined) return fileTrust(trustFileOf({ store }, console))
  const keyId = config.trustKey
  return noteTrust({
    objects: openStore({ store }, console),
    signer: async () => (await import('../lib/seal/key/kms.ts')).kmsSigner({ keyId, name: 'ciphertrail-trust' }),
    place,
  })
}

/**
 * Opens a cluster that is registered, where somebody outside the store vouched for its way. Throws as {@link Trust} does, and SetupError for a replay, which
 * nobody can open.
 */
export async function openRegistered(
  cluster: Cluster,
  options: TrustOptions,
  console: Console,
  deadlines: Omit<OpenOptions, 'environment'> = {},
): Promise<ClusterAccess> {
  if (cluster.replay !== undefined)
    throw new SetupError(`Cannot open cluster "${cluster.id}": it is a replay, of which only the store is left`)
  await openTrust(options, console).check(cluster)
  return openCluster(cluster, { environment: { ...console.config, places: placesOf(options, console) }, ...deadlines })
}

/** Refuses folders of credentials that are none, which would else be said of each cluster. Throws UsageError. */
export async function refuseFolders({ config }: Console): Promise<void> {
  for (const folder of foldersIn(config.credentials) ?? []) {
    const isFolder = await stat(folder).then(
      (found) => found.isDirectory(),
      () => false,
    )
    if (!isFolder)
      throw new UsageError(
        `Cannot use CIPHERTRAIL_CREDENTIALS: "${printable(folder)}" is no folder that can be read, wanted folders with a "${delimiter}" between them; make it, or correct it`,
      )
  }
}

const foldersIn = (text: string | undefined): string[] | undefined =>
  text?.split(delimiter).filter((folder) => folder !== '')

/** Where credentials of clusters are read, and where never. */
function placesOf(options: TrustOptions, console: Console): CredentialPlaces {
  const { config } = console
  const { credentials, secrets } = config
  const files = [
    [config.key, 'the key of the log'],
    [options.key, 'the key of the log'],
    [options.tokenFile, 'the tokens of who may ask'],
    [options.mail ?? config.mail, 'the settings of mail'],
  ] as const
  const place = placeOf(options, config)
  const ofStore = isShared(place)
    ? []
    : [
        { path: resolve(place), what: 'the store' },
        { path: `${resolve(place)}.key`, what: 'the key of the log' },
      ]
  return {
    folders: foldersIn(credentials),
    secrets: secrets?.split(/[\s,]+/).filter((prefix) => prefix !== ''),
    never: [
      ...ofStore,
      ...files.flatMap(([path, what]) => (path === undefined ? [] : [{ path: resolve(path), what }])),
      ...(config.trustKey === undefined
        ? [{ path: trustFileOf(options, console), what: 'the file that vouches for clusters' }]
        : []),
    ],
  }
}

/** Says at once of which files no credential would be read; one that is not there yet is looked at when it is read. Throws UsageError. */
export async function refusePlaces(
  id: string,
  files: readonly (readonly [file: string | undefined, name: string])[],
  options: TrustOptions,
  console: Console,
): Promise<void> {
  for (const [file, name] of files) {
    if (file === undefined) continue
    try {
      await checkPlace(file, name, placesOf(options, console))
    } catch (error) {
      if (error instanceof SetupError) throw new UsageError(`Cannot add cluster "${printable(id)}": ${error.message}`)
    }
  }
}

/** The file that vouches: as said, or beside the store, or for a store in S3 in the user's own folder. Throws UsageError. */
function trustFileOf({ store }: TrustOptions, console: Console): string {
  const { config } = console
  const place = placeOf({ store }, config)
  if (isShared(place) && config.trust === undefined) {
    if (config.home === undefined)
      throw new UsageError(
        'Cannot tell which file vouches for clusters: wanted CIPHERTRAIL_TRUST, CIPHERTRAIL_TRUST_KEY or a home folder',
      )
    const name = createHash('sha256').update(storePlace({ store }, console)).digest('hex').slice(0, 16)
    return join(config.home, '.ciphertrail', `${name}.trust`)
  }
  const file = resolve(config.trust ?? `${resolve(place)}.trust`)
  const way = relative(resolve(place), file)
  if (!isShared(place) && way !== '..' && !way.startsWith(`..${sep}`))
    throw new UsageError(
      `Cannot use "${printable(file)}" to vouch for clusters: it lies inside the store, which others may write; keep it elsewhere`,
    )
  return file
}

function isShared(place: string): boolean {
  return place.includes('://')
}
