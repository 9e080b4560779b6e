import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { SMTPServer } from 'smtp-server'
import { generate } from 'selfsigned'
import { ANY_DAY } from '../../../demo/replay-kubernetes.ts'

/** A message as a server of mail took it. */
export type Taken = {
  readonly to: string
  readonly from: string
  readonly message: Buffer
  readonly isEncrypted: boolean
}

/** What a server does with a recipient: takes the mail; refuses it with a code; cuts the connection in the middle of it, or after it took it. */
export type Manner =
  | 'take'
  | 'cut-before'
  | 'cut-after'
  | { readonly code: number; /** RFC 3463; default: none. */ readonly enhanced?: string; readonly at: 'rcpt' | 'data' }

export type MailServer = {
  readonly port: number
  /** The certificate, PEM. */
  readonly ca: string
  readonly taken: Taken[]
  readonly close: () => Promise<void>
}

export type MailServerOptions = {
  /** Asked for each try, by the recipient and its number from 0. */
  readonly mannerOf?: (to: string, time: number) => Manner
  readonly user?: { readonly name: string; readonly password: string }
  readonly hasTls?: boolean
}

/** Starts a server of mail on loopback, which speaks STARTTLS unless it is told not to. */
export async function startMailServer({
  mannerOf = () => 'take',
  user,
  hasTls = true,
}: MailServerOptions = {}): Promise<MailServer> {
  const pem = await generate([{ name: 'commonName', value: 'localhost' }], {
    ...ANY_DAY,
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  })
  const taken: Taken[] = []
  const tries = new Map<string, number>()
  const manners = new Map<string, Manner>()
  // As many do, it names whom it means, and not in the letters in which it was told.
  const refusal = (code: number, of = '', enhanced = ''): Error =>
    Object.assign(new Error(`${enhanced} refused with ${code} ${of.toUpperCase()}`.trim()), { responseCode: code })
  const server = new SMTPServer({
    key: pem.private,
    cert: pem.cert,
    authOptional: user === undefined,
    disabledCommands: hasTls ? [] : ['STARTTLS'],
    onAuth: ({ username, password }, _session, done) =>
      username === user?.name && password === user?.password ? done(null, { user: username }) : done(refusal(535)),
    onRcptTo: ({ address }, session, done) => {
      const time = tries.get(address) ?? 0
      tries.set(address, time + 1)
      const manner = mannerOf(address, time)
      manners.set(session.id, manner)
      if (typeof manner === 'object' && manner.at === 'rcpt')
        done(refusal(manner.code, `<${address}>`, manner.enhanced))
      else done()
    },
    onData: (stream, session, done) => {
      const chunks: Buffer[] = []
      const manner = manners.get(session.id) ?? 'take'
      const cut = (): void => {
        for (const connection of server.connections)
          if (connection.session.id === session.id) connection._socket.destroy()
      }
      stream.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        if (manner === 'cut-before') cut()
      })
      stream.on('end', () => {
        if (manner === 'cut-before') return
        if (typeof manner === 'object') {
          done(refusal(manner.code, '', manner.enhanced))
          return
        }
        const { mailFrom, rcptTo } = session.envelope
        for (const { address } of rcptTo)
          taken.push({
            to: address,
            from: mailFrom === false ? '' : mailFrom.address,
            message: Buffer.concat(chunks),
            isEncrypted: session.secure,
          })
        if (manner === 'cut-after') cut()
        else done(null, `OK: queued for ${rcptTo.map(({ address }) => address.toUpperCase()).join(' ')}`)
      })
    },
  })
  server.on('error', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  return {
    port: (server.server.address() as AddressInfo).port,
    ca: pem.cert,
    taken,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
