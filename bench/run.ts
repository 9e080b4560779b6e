/**
 * Measures what must not become slow, each scenario against a yardstick in the same run. `npm run bench` runs all of them with their
 * defaults; `npm run bench -- collecting --series 20000 --runs 3` one of them with its options.
 */
import { benchCollecting } from './collecting.ts'

const scenarios = { collecting: benchCollecting }

const [name, ...args] = process.argv.slice(2)
if (name === undefined) for (const scenario of Object.values(scenarios)) await scenario([])
else if (name === 'collecting') await scenarios[name](args)
else
  throw new Error(
    `Cannot run scenario "${name}": wanted one of ${Object.keys(scenarios).join(', ')}, and then its options`,
  )
