import { hash } from 'node:crypto'
import canonicalize from 'canonicalize'
import type { Cluster } from '../../model/registry.ts'

/**
 * What vouches for the ways into clusters, from outside of the store. A registration says where credentials are sent and which kubeconfig is obeyed, and
 * whoever can write to the store can write one: only what an operator vouched for is opened.
 */
export type Trust = {
  /** Throws {@link UntrustedError} for a cluster whose way nobody vouched for as it is registered. */
  readonly check: (cluster: Cluster) => Promise<void>
  /** Vouches for the ways of these clusters, as they are given. */
  readonly vouch: (clusters: readonly Cluster[]) => Promise<void>
  /** Vouches no more for a cluster. */
  readonly forget: (id: string) => Promise<void>
}

/** Nobody vouched for the way into a cluster as it is registered, so it is not opened. One line. */
export class UntrustedError extends Error {
  override readonly name = 'UntrustedError'
}

/**
 * Stands for the way into a cluster: all of its registration but the lengths of its windows and since when it is registered, which lead nowhere. A
 * member that a later version adds is in it.
 */
export function wayOf({ windows: _, registeredAt: __, ...way }: Cluster): string {
  return hash('sha256', canonicalize(way) ?? '', 'hex')
}

/** Throws {@link UntrustedError} unless the way is the one that was vouched for. What an agent collects is opened by nobody else. */
export function checkWay(cluster: Cluster, vouched: string | undefined, place: string): void {
  if (cluster.agent === true || vouched === wayOf(cluster)) return
  const state =
    vouched === undefined
      ? `nothing in ${place} vouches for how it is reached`
      : `it is registered otherwise than ${place} vouches for`
  throw new UntrustedError(
    `Cannot open cluster "${cluster.id}": ${state}; if the registration is yours ("ciphertrail cluster list"), run "ciphertrail cluster trust ${cluster.id}"`,
  )
}
