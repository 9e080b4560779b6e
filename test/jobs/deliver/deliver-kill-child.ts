/**
 * Sends what is due and tells what cannot wait, over SMTP, and kills itself at one step: `node deliver-kill-child.ts <directory> <port> <certificate> <minutes> <step>`.
 * A step is an effect on the disk, or the beginning or the end of sending a message. Prints `done` if there were fewer steps.
 */
import { readFileSync } from 'node:fs'
import type { SendMail } from '../../../lib/deliver/send/send.ts'
import { smtpMail } from '../../../lib/deliver/send/smtp.ts'
import { alertDue } from '../../../lib/jobs/alert-channels.ts'
import { deliverDue } from '../../../lib/jobs/mail/deliver-mails.ts'
import { directoryObjects } from '../../../lib/store/objects/directory.ts'
import { dyingAt, dyingEffects } from '../../support/process/dying-effects.ts'

const [directory = '', port = '', certificate = '', minutes = '', step = ''] = process.argv.slice(2)
const beforeStep = dyingAt(Number(step))
const objects = directoryObjects(directory, dyingEffects(beforeStep))
const smtp = smtpMail({
  host: 'localhost',
  port: Number(port),
  tls: 'starttls',
  user: null,
  password: null,
  ca: readFileSync(certificate, 'utf8'),
})
const send: SendMail = async (envelope) => {
  await beforeStep()
  const said = await smtp(envelope)
  await beforeStep()
  return said
}
const now = (): Date => new Date(Date.parse('2026-11-23T07:00:00Z') + Number(minutes) * 60_000)
const from = { name: 'ciphertrail', address: 'ciphertrail@example.com' }
const nowhere = (): Promise<never> => Promise.reject(new Error('no place is told'))

await deliverDue({ at: now(), version: '0.1.0', url: null, from }, { objects, send, now })
await alertDue({ at: now(), url: null }, { objects, now, mail: { from, send }, post: nowhere, publish: nowhere })
console.log('done')
