/** Amazon SQS and SES as functions ask them: keeps what is sent, and answers as little as will do. */
import { hash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** An error as AWS words it. */
type Refusal = { readonly status: number; readonly name?: string; readonly message?: string }

export type MailServices = {
  readonly url: string
  /** Bodies of messages, by the name of their queue. */
  readonly asked: (queue: string) => readonly unknown[]
  /** To whom SES took a mail, in order. */
  readonly mails: string[]
  /** Decides for each request; undefined: it is answered well. */
  readonly misbehave: (decide: (what: 'sqs' | 'ses', to: string) => Refusal | undefined) => void
  readonly close: () => Promise<void>
}

/** Starts them on loopback. */
export async function startMailServices(): Promise<MailServices> {
  const messages: { readonly queue: string; readonly body: unknown }[] = []
  const mails: string[] = []
  let decide: Parameters<MailServices['misbehave']>[0] = () => undefined
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const answer = (status: number, content: unknown) => {
        response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' })
        response.end(JSON.stringify(content))
      }
      const refused = ({ status, name = 'Refused', message = 'not now' }: Refusal) =>
        answer(status, { __type: name, message })
      if (request.url?.startsWith('/v2/email') === true) {
        const { Destination } = JSON.parse(body) as { Destination: { ToAddresses: string[] } }
        const [to = ''] = Destination.ToAddresses
        const refusal = decide('ses', to)
        if (refusal !== undefined) return refused(refusal)
        mails.push(to)
        return answer(200, { MessageId: `m${mails.length}` })
      }
      const { QueueUrl, Entries } = JSON.parse(body) as {
        QueueUrl: string
        Entries: { Id: string; MessageBody: string }[]
      }
      const queue = QueueUrl.split('/').at(-1) ?? ''
      const refusal = decide('sqs', queue)
      if (refusal !== undefined) return refused(refusal)
      for (const { MessageBody } of Entries) messages.push({ queue, body: JSON.parse(MessageBody) })
      return answer(200, {
        Failed: [],
        Successful: Entries.map(({ Id, MessageBody }) => ({
          Id,
          MessageId: Id,
          MD5OfMessageBody: hash('md5', MessageBody),
        })),
      })
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: (name) => messages.filter(({ queue }) => queue === name).map(({ body }) => body),
    mails,
    misbehave: (how) => {
      decide = how
    },
    close: async () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
