/**
 * Mutation tests: `npm run test:mutants`. Lines of the rooms that decide and keep are drawn by a seed, Stryker breaks each in every way that it knows, and
 * only the test files that reach a mutant run against it: those of these rooms, and of what reads and calls them. `MUTANTS=SEED:LINES` draws others, or more.
 */
import { globSync, readFileSync } from 'node:fs'

const ROOMS = ['assess', 'history', 'seal', 'query', 'deliver']

/** Some 500 mutants. */
const LINES = 357

const [seed, lines] = (process.env.MUTANTS ?? `1:${LINES}`).split(':').map(Number)

/** Numbers from 0 up to 1, the same for a seed (mulberry32). */
function drawn(start) {
  let state = start >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Lines in which something is done: no comment, import, type or lone bracket. */
function codeLines(file) {
  let isType = false
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line, index) => {
      if (/^(export )?type /.test(line)) isType = !/[^{[(|&=]$/.test(line) || line.endsWith('= {')
      const counts =
        !isType && /\w/.test(line) && !/^\s*(\/?\*|\/\/|import |export type |type |readonly |\} from )/.test(line)
      if (isType && /^(\}|$)/.test(line)) isType = false
      return counts ? [`${file}:${index + 1}-${index + 1}`] : []
    })
}

const all = globSync(`lib/{${ROOMS.join(',')}}/**/*.ts`)
  .toSorted()
  .flatMap(codeLines)
const next = drawn(seed)
const chosen = new Set()
while (chosen.size < Math.min(lines, all.length)) chosen.add(all[Math.floor(next() * all.length)])

export default {
  mutate: [...chosen],
  testRunner: 'tap',
  plugins: ['@stryker-mutator/tap-runner'],
  tap: {
    testFiles: [process.env.MUTANTS_TESTS ?? 'test/{assess,history,seal,query,deliver,report,jobs}/**/*.test.ts'],
    nodeArgs: [
      '--import',
      './test/support/property-seed.ts',
      '--test-reporter=tap',
      '-r',
      '{{hookFile}}',
      '{{testFile}}',
    ],
    forceBail: true,
  },
  coverageAnalysis: 'perTest',
  concurrency: 2,
  dryRunTimeoutMinutes: 30, // five, Stryker's own, are too few on a machine that does other things
  timeoutMS: 60_000,
  ignorePatterns: ['dist', 'demo-output', 'docs', '.git'],
  tempDirName: '.stryker-tmp',
  reporters: ['clear-text', 'progress'],
  clearTextReporter: { allowColor: false, reportTests: false, logTests: false, allowEmojis: false },
  thresholds: { high: 95, low: 90, break: 85 },
  allowEmpty: false,
  disableTypeChecks: false,
  tsconfigFile: 'none.json', // Stryker would rewrite it by an interface that TypeScript 7 lacks
}
