import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { directoryObjects } from '../../../lib/store/objects/directory.ts'
import { parseNdjson, run } from '../../support/process/command-line.ts'
import { freshFolder } from '../../support/recorder.ts'
import { ASKED_AT, fillHistories } from '../../support/stored/asked-store.ts'
import { minutesIn } from '../../support/stored/sealed-store.ts'

const isoOf = (minutes: number): string => minutesIn(minutes).toISOString().replace('.000Z', 'Z')

test('paths of a period lists a path that was open before it and was not seen in it', async (t) => {
  const folder = freshFolder(t)
  await fillHistories(directoryObjects(join(folder, 'ciphertrail-data')))
  // In the clear in the first window, and quiet in the last.
  const asked = ['--cluster', 'east', '--state', 'not-encrypted', '--from', isoOf(15), '--to', isoOf(20)]
  const { code, stdout } = await run(['paths', ...asked], { folder, now: ASKED_AT.toISOString() })
  assert.equal(code, 0)
  assert.match(stdout, /deployment\/[^ ]*api:9000 .*\(not seen now\)/)
})

test('paths --from has no row of a time after now', async (t) => {
  const folder = freshFolder(t)
  await fillHistories(directoryObjects(join(folder, 'ciphertrail-data')))
  const asked = ['paths', '--json', '--cluster', 'west', '--from', isoOf(0)]
  const endsOf = async (now: string): Promise<string[]> => {
    const { stdout } = await run(asked, { folder, now })
    return parseNdjson(stdout).map(({ to }) => String(to))
  }
  assert.equal((await endsOf(ASKED_AT.toISOString())).toSorted().at(-1), isoOf(20))
  assert.equal((await endsOf(minutesIn(11).toISOString())).toSorted().at(-1), isoOf(10))
})
