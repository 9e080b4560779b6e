/**
 * Kills itself at one step of one write: `node directory-kill-child.ts <directory> <call> <key> <step>`. The step is
 * the number of the effect that is not run any more; writing a file is two, before it and halfway. Prints `done` if the write
 * had fewer steps.
 */
import { writeFileSync } from 'node:fs'
import { diskEffects, directoryObjects } from '../../lib/store/directory.ts'
import type { DirectoryEffects } from '../../lib/store/directory.ts'
import { numberedBody } from './objects-conformance.ts'

const [directory = '', call = '', key = '', step = ''] = process.argv.slice(2)
let stepsLeft = Number(step)

/** Never returns at the step that is not to be run. */
async function beforeStep(half?: () => void): Promise<void> {
  stepsLeft -= 1
  if (stepsLeft > 0) return
  half?.()
  process.kill(process.pid, 'SIGKILL')
  await new Promise(() => {})
}

const effects: DirectoryEffects = {
  async makeDirectory(path) {
    await beforeStep()
    await diskEffects.makeDirectory(path)
  },
  async writeFile(path, body) {
    await beforeStep()
    await beforeStep(() => writeFileSync(path, body.subarray(0, body.length / 2), { flag: 'wx' }))
    await diskEffects.writeFile(path, body)
  },
  async link(from, to) {
    await beforeStep()
    await diskEffects.link(from, to)
  },
  async rename(from, to) {
    await beforeStep()
    await diskEffects.rename(from, to)
  },
  async removeFile(path) {
    await beforeStep()
    await diskEffects.removeFile(path)
  },
  async syncDirectory(path) {
    await beforeStep()
    await diskEffects.syncDirectory(path)
  },
}

const objects = directoryObjects(directory, effects)
const etag = (await objects.get(key))?.etag ?? null
if (call === 'putOnce') await objects.putOnce(key, numberedBody(2))
if (call === 'putIf') await objects.putIf(key, numberedBody(2), etag)
if (call === 'remove') await objects.remove(key)
console.log('done')
