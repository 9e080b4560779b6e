import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { packagedTemplate } from '../support/aws/cloudformation.ts'

test('cfn-lint has nothing to say of the template', async (t) => {
  const command = process.env['CIPHERTRAIL_CFN_LINT']
  if (command === undefined)
    throw new Error('Cannot run cfn-lint: CIPHERTRAIL_CFN_LINT is not set, run test/system/run')
  const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-cfn-lint-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'template.json')
  writeFileSync(file, JSON.stringify(await packagedTemplate()))
  const lint = (path: string) => spawnSync(command, ['--ignore-checks', 'W3005', '--', path], { encoding: 'utf8' })
  // W3005: osls names the role of a function twice.
  const { status, stdout, stderr } = lint(file)
  assert.deepEqual([status, stdout, stderr], [0, '', ''])

  const broken = join(folder, 'broken.json')
  writeFileSync(broken, JSON.stringify({ Resources: { Bad: { Type: 'AWS::S3::Bukket' } } }))
  assert.notEqual(lint(broken).status, 0)
})
