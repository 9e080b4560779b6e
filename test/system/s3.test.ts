import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { StoreError } from '../../lib/store/objects/objects.ts'
import { run } from '../support/process/command-line.ts'
import { addArguments, startDemoMesh } from '../support/mesh/demo-mesh.ts'
import { startMoto } from '../support/servers/moto-server.ts'
import type { MotoServer } from '../support/servers/moto-server.ts'
import { objectsConformance } from '../store/objects/objects-conformance.ts'
import { openStore } from '../store/objects/open-s3.ts'

let moto: MotoServer
let client: S3Client
let stores = 0

before(async () => {
  moto = await startMoto()
  Object.assign(process.env, moto.env)
  client = new S3Client({ forcePathStyle: true })
})
after(() => moto.close())

async function freshAddress(): Promise<string> {
  const number = stores++
  const where = { LocationConstraint: 'eu-central-1' } as const
  await client.send(
    new CreateBucketCommand({
      Bucket: `evidence-${number}`,
      ObjectLockEnabledForBucket: true,
      CreateBucketConfiguration: where,
    }),
  )
  await client.send(new CreateBucketCommand({ Bucket: `derived-${number}`, CreateBucketConfiguration: where }))
  await client.send(
    new PutBucketVersioningCommand({ Bucket: `derived-${number}`, VersioningConfiguration: { Status: 'Enabled' } }),
  )
  return `s3://evidence-${number}/some/prefix?derived=derived-${number}/other`
}

objectsConformance(
  's3 on moto',
  async () => {
    const argument = await freshAddress()
    return {
      objects: openStore(argument),
      opener: { module: new URL('../store/objects/open-s3.ts', import.meta.url).href, argument },
    }
  },
  // Between its threads a conditional put is not atomic.
  { isRaced: false },
)

for (const [query, mode, until] of [
  ['', 'GOVERNANCE', '2101-03-01T12:30:00.000Z'],
  ['&retention=6-years', 'GOVERNANCE', '2106-02-01T12:30:00.000Z'],
  ['&lock=compliance&retention=1-day', 'COMPLIANCE', '2100-02-02T12:30:00.000Z'],
] as const) {
  test(`"${query}" keeps a version of evidence in ${mode} until ${until}`, async () => {
    const address = await freshAddress()
    const objects = openStore(address + query, { now: () => new Date('2100-02-01T12:30:00Z') })
    await objects.putOnce('evidence/w/c/1', Buffer.from('what was seen'))
    const written = await objects.get('evidence/w/c/1')
    assert.ok(written?.version)
    const object = { Bucket: /s3:\/\/([^/]+)/.exec(address)?.[1] ?? '', Key: 'some/prefix/evidence/w/c/1' }
    const version = { ...object, VersionId: written.version }
    const head = await client.send(new HeadObjectCommand(version))
    assert.deepEqual([head.ObjectLockMode, head.ObjectLockRetainUntilDate?.toISOString()], [mode, until])

    await assert.rejects(client.send(new DeleteObjectCommand(version)), { name: 'AccessDenied' })
    // Hidden and written over it still is what it was. That it is hidden, and not absent, moto does not tell.
    await client.send(new DeleteObjectCommand(object))
    assert.equal(await objects.get('evidence/w/c/1'), undefined)
    await client.send(new PutObjectCommand({ ...object, Body: 'something else' }))
    assert.deepEqual(await objects.get('evidence/w/c/1', written.version), written)

    const bypass = client.send(new DeleteObjectCommand({ ...version, BypassGovernanceRetention: true }))
    if (mode === 'COMPLIANCE') await assert.rejects(bypass, { name: 'AccessDenied' })
    else await bypass
    const left = await objects.get('evidence/w/c/1', written.version)
    assert.equal(left?.version, mode === 'COMPLIANCE' ? written.version : undefined)
  })
}

test('what is derived, and the head of the log, are not locked', async () => {
  const address = await freshAddress()
  const objects = openStore(address)
  await objects.putIf('log/checkpoint', Buffer.from('1'), null)
  await objects.putIf('state/c', Buffer.from('1'), null)
  for (const key of ['log/checkpoint', 'state/c']) {
    const { version } = (await objects.get(key)) ?? {}
    const place = key === 'state/c' ? 'derived' : 'evidence'
    const [, number = ''] = /evidence-(\d+)/.exec(address) ?? []
    const object = { Bucket: `${place}-${number}`, Key: `${place === 'derived' ? 'other' : 'some/prefix'}/${key}` }
    await client.send(new DeleteObjectCommand({ ...object, VersionId: version ?? '' }))
    assert.equal(await objects.get(key), undefined)
  }
})

test('a bucket without Object Lock, and one that is not there, are told in one line', async () => {
  const address = await freshAddress()
  const [, derived = ''] = /derived=([^/]+)/.exec(address) ?? []
  await assert.rejects(openStore(`s3://${derived}/x`).putOnce('evidence/w/c/1', Buffer.from('x')), (error) => {
    assert.ok(error instanceof StoreError)
    assert.match(error.message, /the bucket has no Object Lock, make one that has it, or add "lock=none"/)
    return true
  })
  await openStore(`s3://${derived}/x?lock=none`).putOnce('evidence/w/c/1', Buffer.from('x'))
  await assert.rejects(openStore('s3://nobodys-bucket/x').get('state/c'), (error) => {
    assert.ok(error instanceof StoreError)
    assert.match(error.message, /there is no bucket "nobodys-bucket", make it or name another one \(NoSuchBucket\)$/)
    return true
  })
})

test('the command line collects, answers and derives again on moto as in a directory', async (t) => {
  const mesh = await startDemoMesh()
  t.after(() => mesh.close())
  const env = { ...moto.env, CIPHERTRAIL_STORE: await freshAddress() }
  assert.equal((await run(addArguments(mesh), { folder: mesh.folder, env })).code, 0)
  const [first, second] = mesh.windows
  assert.ok(first && second)
  for (const command of [
    ['collect', ...mesh.optionsAt(first)],
    ['collect', ...mesh.optionsAt(second)],
    ['paths', '--json', '--from', first.start, '--to', second.end],
    ['rebuild', '--json'],
    ['report', '--json', '--from', first.start, '--to', second.end],
  ]) {
    const inDirectory = await mesh.run(...command)
    assert.equal(inDirectory.code, 0, inDirectory.stderr)
    assert.deepEqual(await run(command, { folder: mesh.folder, env }), inDirectory)
  }
})
