/** A time-stamping authority of OpenSSL's own: its answers are made by `openssl ts -reply`. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { askAuthority, type AskAuthority } from '../../../lib/seal/timestamp/ask-authority.ts'

const CONFIGURATION = `
[req]
distinguished_name = names
prompt = no
[names]
CN = An authority of OpenSSL
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[between]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[tsa]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[authority]
serial = serial
signer_cert = tsa.pem
certs = between.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
other_policies = 1.2.3.4.5
digests = sha256
accuracy = secs:1, millisecs:500
ordering = yes
tsa_name = yes
ess_cert_id_alg = sha256
`

/** Key algorithms of the authority, as `openssl genpkey` takes them. */
export type KeyOptions = readonly string[]

const RSA: KeyOptions = ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:3072']

/** A running authority, and what it is asked by. */
export async function startOpensslAuthority(
  t: { readonly after: (run: () => void) => void },
  key: KeyOptions = RSA,
): Promise<{
  readonly url: string
  readonly ask: AskAuthority
  readonly settings: { readonly url: URL; readonly policy: string | null; readonly authorities: string }
}> {
  const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-openssl-'))
  const openssl = (...args: readonly string[]) =>
    execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] })
  writeFileSync(join(folder, 'tsa.cnf'), CONFIGURATION)
  writeFileSync(join(folder, 'serial'), '01')
  for (const [name, issuer] of [
    ['root', null],
    ['between', 'root'],
    ['tsa', 'between'],
  ] as const) {
    openssl('genpkey', ...key, '-out', `${name}.key`)
    const asked = ['req', '-new', '-config', 'tsa.cnf', '-key', `${name}.key`, '-subj', `/O=OpenSSL/CN=${name}`]
    if (issuer === null) openssl(...asked, '-x509', '-days', '30', '-extensions', name, '-out', `${name}.pem`)
    else {
      openssl(...asked, '-out', `${name}.csr`)
      const signed = ['x509', '-req', '-in', `${name}.csr`, '-CA', `${issuer}.pem`, '-CAkey', `${issuer}.key`]
      openssl(...signed, '-days', '20', '-extfile', 'tsa.cnf', '-extensions', name, '-out', `${name}.pem`)
    }
  }
  const server = createServer((request, response) => {
    void buffer(request).then((query) => {
      writeFileSync(join(folder, 'query'), query)
      openssl('ts', '-reply', '-config', 'tsa.cnf', '-section', 'authority', '-queryfile', 'query', '-out', 'reply')
      response.writeHead(200, { 'content-type': 'application/timestamp-reply' })
      response.end(readFileSync(join(folder, 'reply')))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    rmSync(folder, { recursive: true })
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/tsr`
  const authorities = readFileSync(join(folder, 'root.pem'), 'utf8')
  return {
    url,
    ask: askAuthority(new URL(url), undefined),
    settings: { url: new URL(url), policy: null, authorities },
  }
}
