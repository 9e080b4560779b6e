/**
 * Measures what must not become slow, each scenario against a yardstick in the same run. `npm run bench` runs all of them with their
 * defaults; `npm run bench -- collecting --series 20000 --runs 3` one of them with its options.
 */
import { benchCollecting } from './collecting.ts'
import { benchColdStart } from './cold-start.ts'
import { benchFleet } from './fleet/fleet.ts'
import { benchHistory } from './history.ts'
import { benchPacking } from './packing.ts'
import { benchQuerying } from './querying.ts'
import { benchReport } from './report.ts'
import { benchSealing } from './sealing.ts'
import { benchVerifying } from './verifying.ts'

const scenarios = new Map(
  Object.entries({
    collecting: benchCollecting,
    verifying: benchVerifying,
    packing: benchPacking,
    sealing: benchSealing,
    querying: benchQuerying,
    history: benchHistory,
    fleet: benchFleet,
    report: benchReport,
    'cold-start': benchColdStart,
  }),
)

const [name, ...args] = process.argv.slice(2)
const chosen = name === undefined ? [...scenarios.values()] : [scenarios.get(name)]
for (const scenario of chosen) {
  if (scenario === undefined)
    throw new Error(`Cannot run scenario "${name}": wanted one of ${[...scenarios.keys()].join(', ')}`)
  await scenario(args)
}
