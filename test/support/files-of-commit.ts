/** Draws the test files that run once more, on another day, for a commit: the same ones each time, and each file for every fourth commit or so. */
import { hash } from 'node:crypto'

/** Where days, weeks and clocks decide what happens: these files run for every commit. */
const ABOUT_DAYS = /^test\/(?:time|jobs|deliver|functions|cli\/run)\//

/**
 * The files about days, and a quarter of the others, which the commit's hash draws. In the order given.
 *
 * @param files their paths from the repository's root
 */
export function filesOfCommit(commit: string, files: readonly string[]): string[] {
  const others = files.filter((file) => !ABOUT_DAYS.test(file))
  const order = new Map(others.map((file) => [file, hash('sha256', `${commit} ${file}`)]))
  const drawn = new Set(
    others
      .toSorted((a, b) => ((order.get(a) ?? '') < (order.get(b) ?? '') ? -1 : 1))
      .slice(0, Math.ceil(others.length / 4)),
  )
  return files.filter((file) => ABOUT_DAYS.test(file) || drawn.has(file))
}

if (import.meta.main) {
  const [commit = '', ...files] = process.argv.slice(2)
  const drawn = filesOfCommit(commit, files)
  process.stderr.write(`Drawn from commit ${commit}: ${drawn.length} of ${files.length} files; --whole runs them all\n`)
  process.stdout.write(drawn.map((file) => `${file}\n`).join(''))
}
