import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Config } from '../lib/config.ts'
import { assessWindow } from '../lib/assess/window/window.ts'
import type { Cluster } from '../lib/model/registry.ts'
import { printable } from '../lib/text/printable.ts'
import type { DeriveDeps } from '../lib/history/derive.ts'
import { directoryObjects } from '../lib/store/objects/directory.ts'
import { folderOpenToOthers } from '../lib/store/objects/open-to-others.ts'
import type { Objects } from '../lib/store/objects/objects.ts'
import { readClusters } from '../lib/store/registry/registry.ts'
import { addressWarnings, parseAddress, StoreAddressError } from '../lib/store/objects/s3/address.ts'
import type { S3Address } from '../lib/store/objects/s3/address.ts'
import { s3Objects } from '../lib/store/objects/s3/s3-objects.ts'
import { type Console, UsageError } from './console.ts'

/** What `--store` may say of S3. */
export const STORE_HELP = `A store on S3, with the AWS credentials and the region of the environment:
  --store s3://evidence-bucket/prefix
  --store "s3://evidence-bucket/prefix?derived=other-bucket/prefix"
Options after the question mark, separated by "&":
  derived    another place for what is derived; the first one then holds only
             evidence and log
  lock       governance (default), compliance, or none (a default retention of
             the bucket, if there is one)
  retention  13-months (default), 6-years, or days such as 400-days
WARNING: with lock=compliance nobody can delete what was written or end its lock
before that time, not even the root user of the account. Try it with
retention=1-day first.`

type StoreOptions = { readonly store?: string | undefined }

/** The objects of a store, and its place as the operator says it. */
export type Store = Objects & { readonly place: string }

/** The store that a command works on: `--store`, or CIPHERTRAIL_STORE, or ./ciphertrail-data. Throws UsageError for an address that is none. */
export function openStore(options: StoreOptions, { config, now }: Console): Store {
  const place = placeOf(options, config)
  const address = addressOf(place)
  const objects =
    address === undefined
      ? directoryObjects(place)
      : s3Objects(address, { now, isPathStyle: config.s3Endpoint !== undefined })
  return Object.assign(objects, { place })
}

/** Why a store without clusters has none: it does not exist, or none is registered in it. */
export function emptyWords({ place }: Store): string {
  const isMissing = addressOf(place) === undefined && !existsSync(place)
  return `store "${printable(place)}" ${isMissing ? 'does not exist' : 'has no cluster'}`
}

/** What somebody who begins with a store should know of how it is locked, a line each. Throws UsageError as {@link openStore} does. */
export function storeWarnings(options: StoreOptions, { config }: Console): string[] {
  const address = addressOf(placeOf(options, config))
  return address === undefined ? [] : addressWarnings(address)
}

/** What to do about a store in a directory that others can look into, in one line; null where none can, and for a store in S3. */
export async function rightsFix(place: string): Promise<string | null> {
  const folder = place.includes('://') ? undefined : await folderOpenToOthers(place)
  return folder === undefined
    ? null
    : `others than its owner can look into its folder "${printable(folder)}", and it holds addresses and links; run "chmod -R go= ${printable(place)}" and judge whether they have`
}

/** Whether the store is in S3, so that functions may work on it, too. Throws UsageError as {@link openStore} does. */
export function isSharedStore(options: StoreOptions, { config }: Console): boolean {
  return addressOf(placeOf(options, config)) !== undefined
}

/** Where that store is, as the operator says it. */
export function placeOf({ store }: StoreOptions, config: Config): string {
  return store ?? config.store ?? './ciphertrail-data'
}

/** That store by its name alone: how it is locked, and where what is derived lies, does not make it another one. */
export function storePlace(options: StoreOptions, { config }: Console): string {
  const place = placeOf(options, config)
  return place.includes('://') ? (place.split('?')[0] ?? '').replace(/\/+$/, '') : resolve(place)
}

function addressOf(place: string): S3Address | undefined {
  try {
    return parseAddress(place)
  } catch (error) {
    throw error instanceof StoreAddressError ? new UsageError(error.message) : error
  }
}

/** What deriving needs: the store and our reading of a window. */
export function deriveDeps(objects: Objects, now: Date): DeriveDeps {
  return { objects, assess: assessWindow, now }
}

/** Whether a store is there with a cluster in it. False too where it cannot be read. */
export async function hasClusters(options: StoreOptions, console: Console): Promise<boolean> {
  try {
    return (await readClusters({ objects: openStore(options, console) })).length > 0
  } catch {
    return false
  }
}

/** The clusters that `--cluster` names, or all registered ones. Throws UsageError for one that is not registered, and where there is none. */
export async function chosenClusters(store: Store, ids: readonly string[] | undefined): Promise<Cluster[]> {
  const clusters = await readClusters({ objects: store })
  if (clusters.length === 0)
    throw new UsageError(
      `Cannot go on without a cluster: ${emptyWords(store)}; choose another --store, or add a cluster with "ciphertrail cluster add ID"`,
    )
  if (ids === undefined || ids.length === 0) return clusters
  return [...new Set(ids)].map((id) => {
    const cluster = clusters.find((one) => one.id === id)
    if (cluster === undefined)
      throw new UsageError(
        `Cannot find cluster "${printable(id)}": it is not registered, registered are ${clusters.map((one) => one.id).join(', ')}; add it with "ciphertrail cluster add"`,
      )
    return cluster
  })
}

/** Says of clusters that are replays what they show, each sentence once: also beside JSON, since it goes to standard error. */
export function printReplays(clusters: readonly Cluster[], err: Console['err']): void {
  for (const sentence of new Set(clusters.flatMap(({ replay }) => replay ?? []))) err(printable(sentence))
}

/** The cluster that `--cluster` names, or the only one. Throws UsageError where there are several, with what cannot be done: `tap`. */
export async function onlyCluster(store: Store, id: string | undefined, what: string): Promise<Cluster> {
  const [cluster, ...others] = await chosenClusters(store, id === undefined ? undefined : [id])
  if (cluster === undefined || others.length > 0)
    throw new UsageError(
      `Cannot ${what} without --cluster: registered are ${[cluster, ...others].map((one) => one?.id).join(', ')}`,
    )
  return cluster
}
