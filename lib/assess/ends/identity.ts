/** A Linkerd identity: `sa.namespace.serviceaccount.identity.<control plane namespace>.<trust domain>`. */
export type Identity = { readonly serviceAccount: string; readonly namespace: string; readonly issuer: string }

/** Reads an identity as Linkerd's proxies print it; null for other kinds (SPIFFE ids of external workloads). */
export function parseIdentity(text: string): Identity | null {
  // A ServiceAccount's name may contain dots; a namespace's may not.
  const match = /^(.+)\.([^.]+)\.serviceaccount\.identity\.(.+)$/.exec(text)
  const [, serviceAccount, namespace, issuer] = match ?? []
  return serviceAccount === undefined || namespace === undefined || issuer === undefined
    ? null
    : { serviceAccount, namespace, issuer }
}

/** Shortens an identity to `sa.namespace`, as `linkerd viz edges` prints it. Other kinds are returned unchanged; null if empty. */
export function shortIdentity(text: string): string | null {
  if (text === '') return null
  const identity = parseIdentity(text)
  return identity === null ? text : `${identity.serviceAccount}.${identity.namespace}`
}
