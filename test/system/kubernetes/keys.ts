import { generateKeyPairSync, sign } from 'node:crypto'
import { isIP } from 'node:net'
import { generate } from 'selfsigned'

/** A certificate with its key, PEM. */
export type Pair = { readonly cert: string; readonly key: string }

/** The authority of a cluster: what it signed is believed by all its parts. */
export type ClusterAuthority = {
  readonly ca: string
  /** A certificate for a user or a server; `group` is `system:masters` and the like, `addresses` what a server is reached by, addresses or names. */
  readonly issue: (name: string, group?: string, addresses?: readonly string[]) => Promise<Pair>
}

const SETTINGS = { keyType: 'ec', algorithm: 'sha256' } as const

/** Makes an authority of its own. */
export async function makeClusterAuthority(): Promise<ClusterAuthority> {
  const root = await generate([{ name: 'commonName', value: 'kubernetes-ca' }], {
    ...SETTINGS,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, digitalSignature: true, critical: true },
    ],
  })
  return {
    ca: root.cert,
    issue: async (name, group, addresses = []) => {
      const organisation = group === undefined ? [] : [{ name: 'organizationName', value: group }]
      const leaf = await generate([...organisation, { name: 'commonName', value: name }], {
        ...SETTINGS,
        ca: { cert: root.cert, key: root.private },
        extensions: [
          { name: 'basicConstraints', cA: false },
          { name: 'keyUsage', digitalSignature: true },
          { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
          ...(addresses.length === 0 ? [] : [{ name: 'subjectAltName' as const, altNames: addresses.map(altName) }]),
        ],
      })
      return { cert: leaf.cert, key: leaf.private }
    },
  }
}

function altName(text: string): { type: 7; ip: string } | { type: 2; value: string } {
  return isIP(text) === 0 ? { type: 2, value: text } : { type: 7, ip: text }
}

/** The keys with which a cluster signs the tokens of its ServiceAccounts. PEM. */
export type TokenKeys = { readonly publicKey: string; readonly privateKey: string }

export function makeTokenKeys(): TokenKeys {
  const { publicKey, privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  return { publicKey, privateKey }
}

/** Who signs tokens, and for whom. */
export const TOKEN_ISSUER = 'https://kubernetes.default.svc.cluster.local'

export type TokenOf = { readonly namespace: string; readonly name: string; readonly uid: string }

/** A token as the API server makes it for a ServiceAccount, but of any length of life: its own are ten minutes at least. */
export function signToken({ namespace, name, uid }: TokenOf, keys: TokenKeys, lifeSeconds: number): string {
  const now = Math.floor(Date.now() / 1000)
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const head = part({ alg: 'ES256', typ: 'JWT' })
  const body = part({
    iss: TOKEN_ISSUER,
    aud: [TOKEN_ISSUER],
    sub: `system:serviceaccount:${namespace}:${name}`,
    iat: now,
    nbf: now,
    exp: now + lifeSeconds,
    'kubernetes.io': { namespace, serviceaccount: { name, uid } },
  })
  const signature = sign('sha256', Buffer.from(`${head}.${body}`), { key: keys.privateKey, dsaEncoding: 'ieee-p1363' })
  return `${head}.${body}.${signature.toString('base64url')}`
}
