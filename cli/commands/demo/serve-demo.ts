import { join } from 'node:path'
import { DEMO_FIXTURE, openFixture } from '../../../demo/fixture.ts'
import { makeSyntheticHistory } from '../../../demo/synthetic-history.ts'
import { WEEKS } from '../../../demo/synthetic-story.ts'
import { directoryObjects } from '../../../lib/store/objects/directory.ts'
import type { Console } from '../../console.ts'
import { startSite, untilStopped } from '../../serve-site.ts'
import { OUT } from './replay-demo.ts'

/** Both links begin in one column. */
const LABEL_WIDTH = 25

/**
 * Serves the pages of what {@link runDemo} stored, and those of a synthetic history in a store of its own, until the process is told to end. Two servers, so that
 * nothing synthetic is ever beside what was recorded.
 */
export async function serveDemo(
  console: Pick<Console, 'out' | 'err' | 'progress' | 'progressEnd' | 'version' | 'now' | 'user'>,
): Promise<void> {
  const stopped = untilStopped()
  const recorded = directoryObjects(join(OUT, 'store'))
  const { windows } = openFixture(DEMO_FIXTURE)
  console.progress(`Making ${WEEKS} weeks of synthetic history`)
  const began = performance.now()
  const synthetic = await makeSyntheticHistory(
    join(OUT, 'synthetic'),
    { windows, until: windows.at(-1)?.end ?? '' },
    { recorded, version: console.version, user: console.user },
  )
  const seconds = (performance.now() - began) / 1000
  console.progressEnd()
  const settings = { host: '127.0.0.1', port: 0, access: null, url: null, log: null }
  const sites = await Promise.all([recorded, synthetic].map((objects) => startSite({ ...settings, objects }, console)))
  const [replay, story] = sites
  for (const line of [
    '',
    'Pages. A link lets in whoever has it; Ctrl+C ends both.',
    `  ${'of this replay:'.padEnd(LABEL_WIDTH)}${replay?.link ?? ''}`,
    `  ${`of ${WEEKS} weeks, synthetic:`.padEnd(LABEL_WIDTH)}${story?.link ?? ''}`,
    `The synthetic history was made in ${seconds.toFixed(1)} s, in ${join(OUT, 'synthetic')}: none of it happened, and none of it is sealed.`,
  ])
    console.out(line)
  await stopped
  await Promise.all(sites.map((site) => site.close(0)))
}
