import { hash } from 'node:crypto'
import canonicalize from 'canonicalize'
import type { Cluster } from '../../model/registry.ts'

/**
 * Trust in cluster connections, from outside of the store. A registration decides where credentials are sent and which kubeconfig is used, and anyone who can
 * write to the store can write one: only connections that an operator trusted are opened.
 */
export type Trust = {
  /** Throws {@link UntrustedError} if the cluster's connection is not trusted as it is registered. */
  readonly check: (cluster: Cluster) => Promise<void>
  /** Trusts the connections of these clusters, as they are given. */
  readonly vouch: (clusters: readonly Cluster[]) => Promise<void>
  /** Ends the trust in a cluster. */
  readonly forget: (id: string) => Promise<void>
}

/** The connection to a cluster is not trusted as it is registered, so it is not opened. One line. */
export class UntrustedError extends Error {
  override readonly name = 'UntrustedError'
}

/**
 * Identifies a cluster's connection: all of its registration except its window lengths and registration time, which affect no connection. It includes members
 * that a later version adds.
 */
export function connectionHash({ windows: _, registeredAt: __, ...way }: Cluster): string {
  return hash('sha256', canonicalize(way) ?? '', 'hex')
}

/** Throws {@link UntrustedError} unless the connection is the trusted one. A cluster with an agent is opened by its agent only. */
export function checkConnection(cluster: Cluster, vouched: string | undefined, place: string): void {
  if (cluster.agent === true || vouched === connectionHash(cluster)) return
  const state =
    vouched === undefined
      ? `nothing in ${place} vouches for how it is reached`
      : `it is registered otherwise than ${place} vouches for`
  throw new UntrustedError(
    `Cannot open cluster "${cluster.id}": ${state}; if the registration is yours ("ciphertrail cluster list"), run "ciphertrail cluster trust ${cluster.id}"`,
  )
}
