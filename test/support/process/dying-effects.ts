import { writeFileSync } from 'node:fs'
import { diskEffects } from '../../../lib/store/objects/directory-effects.ts'
import type { DirectoryEffects } from '../../../lib/store/objects/directory-effects.ts'

/** Comes to an end, or, at the step that is not to be run, to the end of the process. */
export type Step = (half?: () => void) => Promise<void>

/** Kills this process at a step, 1 and up, each of which is said to begin; `half` is done before. */
export function dyingAt(step: number): Step {
  let stepsLeft = step
  return async (half) => {
    stepsLeft -= 1
    if (stepsLeft > 0) return
    half?.()
    process.kill(process.pid, 'SIGKILL')
    await new Promise(() => {})
  }
}

/** The effects of a directory, each of which is a step before it is run; writing a file is two, before it and halfway. */
export function dyingEffects(beforeStep: Step): DirectoryEffects {
  return {
    async makeDirectory(path) {
      await beforeStep()
      await diskEffects.makeDirectory(path)
    },
    async writeFile(path, body) {
      await beforeStep()
      await beforeStep(() => writeFileSync(path, body.subarray(0, body.length / 2), { flag: 'wx' }))
      await diskEffects.writeFile(path, body)
    },
    async writeStream(path, fill) {
      await beforeStep()
      const filled = await diskEffects.writeStream(path, fill)
      await beforeStep()
      return filled
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
}
