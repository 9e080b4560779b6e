/** The head of the log in Parameter Store of moto: what `npm test` says to a server of this project. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { DeleteParameterCommand, PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm'
import { parameterLastHead } from '../../lib/seal/write/parameter-last-head.ts'
import { seal } from '../../lib/seal/write/seal.ts'
import { type MotoServer, startMoto } from '../support/servers/moto-server.ts'
import { HEAD_PARAMETER, HEAD_PARAMETER_ARN } from '../support/servers/ssm-server.ts'
import { newSigner } from '../support/stored/memory-log.ts'
import { memoryObjects } from '../support/stored/memory-objects.ts'

let moto: MotoServer
let client: SSMClient

before(async () => {
  moto = await startMoto()
  client = new SSMClient({
    endpoint: moto.url,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'tester', secretAccessKey: 'hunter2' },
  })
  await put('none')
})
after(async () => {
  client.destroy()
  await moto.close()
})

const put = (Value: string) =>
  client.send(new PutParameterCommand({ Name: HEAD_PARAMETER, Type: 'String', Value, Overwrite: true }))

test('a log goes on by the parameter, a store that was put back is refused, and of many runs at once the largest head stays', async () => {
  const last = parameterLastHead(HEAD_PARAMETER_ARN, client)
  assert.equal(await last.read(), undefined)
  const held = new Map<string, Uint8Array>([['reports/a', Buffer.from('a')]])
  const signer = newSigner()
  const run = (hour: number) =>
    seal({ now: new Date(Date.UTC(2026, 10, 24, hour)) }, { objects: memoryObjects(held), signer, last })
  await run(12)
  const earlier = new Map(held)
  await run(13)
  assert.equal((await last.read())?.size, 2)
  held.clear()
  for (const [key, body] of earlier) held.set(key, body)
  await assert.rejects(run(14), /it was put back to an earlier state or exchanged/)

  const sizes = [7, 12, 5, 9, 12, 3, 11, 10]
  await Promise.all(sizes.map((size) => last.write({ size, root: Buffer.alloc(32, size) })))
  assert.equal((await last.read())?.size, 12)

  await put('none')
  await assert.rejects(run(15), /it was put back to "none"/)
  await client.send(new DeleteParameterCommand({ Name: HEAD_PARAMETER }))
  await assert.rejects(run(16), /there is none; create it/)
})
