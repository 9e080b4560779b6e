import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { run } from '../support/process/command-line.ts'

test('channel add refuses a webhook at the address of a metadata service at once, and records nothing', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-webhook-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'hook'), 'secret\n', { mode: 0o600 })
  for (const host of ['169.254.169.254', '[fd00:ec2::254]', '[2002:a9fe:a9fe::1]']) {
    const args = ['channel', 'add', 'ops', '--webhook', `https://${host}/latest`, '--webhook-secret-file', 'hook']
    const { code, stderr } = await run(args, { folder })
    assert.equal(code, 2)
    assert.match(
      stderr,
      /^Cannot add channel "ops": the address .+ is refused, it is .+; if it is meant, name its network in CIPHERTRAIL_ALLOWED_NETWORKS\n$/,
    )
  }
  assert.equal((await run(['channel', 'list', '--json'], { folder })).stdout, '')
})
