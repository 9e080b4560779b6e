/**
 * Kills itself at one step of one write: `node directory-kill-child.ts <directory> <call> <key> <step>`. The step is
 * the number of the effect that is not run any more; writing a file is two, before it and halfway. Prints `done` if the write
 * had fewer steps.
 */
import { directoryObjects } from '../../../lib/store/objects/directory.ts'
import { dyingAt, dyingEffects } from '../../support/process/dying-effects.ts'
import { numberedBody } from './numbered-body.ts'

const [directory = '', call = '', key = '', step = ''] = process.argv.slice(2)

const objects = directoryObjects(directory, dyingEffects(dyingAt(Number(step))))
const etag = (await objects.get(key))?.etag ?? null
if (call === 'putOnce') await objects.putOnce(key, numberedBody(2))
if (call === 'putIf') await objects.putIf(key, numberedBody(2), etag)
if (call === 'remove') await objects.remove(key)
console.log('done')
