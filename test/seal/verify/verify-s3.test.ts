import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { assessWindow } from '../../../lib/assess/window/window.ts'
import { checkStore } from '../../../lib/seal/verify/check-store.ts'
import type { LogFinding } from '../../../lib/seal/verify/finding.ts'
import { verifyStore } from '../../../lib/seal/verify/verify-period.ts'
import { run } from '../../support/process/command-line.ts'
import { newSigner } from '../../support/stored/memory-log.ts'
import { freshFolder } from '../../support/recorder.ts'
import { type S3Server, startS3Server } from '../../support/servers/s3-server.ts'
import { fillStore } from '../../support/stored/sealed-store.ts'
import { openStore } from '../../store/objects/open-s3.ts'

let server: S3Server
const signer = newSigner()
const address = 's3://evidence/some/prefix?derived=derived/other'
const objects = openStore(address)

before(async () => {
  server = await startS3Server()
  Object.assign(process.env, server.env)
  server.makeBucket('evidence')
  server.makeBucket('derived', { hasLock: false })
  await fillStore(objects, signer)
})
after(() => server.close())

const linesOf = (kept: readonly LogFinding[]): string[] => kept.map(({ key, problem }) => `${key ?? ''}: ${problem}`)

test('a store in S3 is checked and verified as it lies there', async (t) => {
  assert.deepEqual(linesOf((await checkStore({}, { objects, assess: assessWindow })).findings.kept), [])
  assert.deepEqual(linesOf((await verifyStore({ vkey: signer.vkey }, { objects })).findings.kept), [])
  const { code, stdout } = await run(['verify', address, '--key', signer.vkey], {
    folder: freshFolder(t),
    env: server.env,
  })
  assert.equal(code, 0)
  assert.match(stdout, /^Verified: 22 leaves /)
})

test('in a bucket, what was written over or deleted is named, with the version that its lock kept', async () => {
  const keys: string[] = []
  for await (const key of objects.list('evidence/')) keys.push(key)
  const [over = '', deleted = ''] = keys
  const versionOf = (key: string) => server.buckets.get('evidence')?.get(`some/prefix/${key}`)?.[0]?.id ?? ''
  const [overId, deletedId] = [versionOf(over), versionOf(deleted)]
  server.meddle('evidence', `some/prefix/${over}`, Buffer.from('another'))
  server.meddle('evidence', `some/prefix/${deleted}`, null)
  server.meddle('evidence', 'some/prefix/log/tile/0/000.p/22', null)

  const verified = linesOf((await verifyStore({ vkey: signer.vkey }, { objects })).findings.kept)
  assert.equal(verified.length, 2)
  for (const [key, how, id] of [
    [over, 'it has 7 bytes, sealed were \\d+', overId],
    [deleted, 'it is missing', deletedId],
  ] as const)
    assert.ok(
      verified.some((line) =>
        new RegExp(`^${key}: ${how}, version "${id}" of it is kept as it was sealed \\(leaf \\d+\\)$`).test(line),
      ),
      verified.join('\n'),
    )
  const checked = linesOf((await checkStore({}, { objects, assess: assessWindow })).findings.kept)
  for (const line of verified) assert.ok(checked.includes(line))
  assert.ok(checked.includes('log/tile/0/000.p/22: it is missing'))

  // Who may not read versions is told all but that.
  server.permit((action) => action !== 's3:GetObjectVersion')
  const unversioned = linesOf((await verifyStore({ vkey: signer.vkey }, { objects })).findings.kept)
  assert.equal(unversioned.length, 2)
  for (const line of unversioned) assert.doesNotMatch(line, /version/)
})
