/**
 * `npm run supply`: what comes with this package, and what must never be in it. Licences of all packages that the lockfile names, no credential in any file
 * that git has, and what the registry knows of faults in those packages, where it answers. Ends with 1 where something is wrong.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')

/** What may be shipped with code under Apache-2.0. */
const SHIPPED = /^(0BSD|Apache-2\.0|BSD-[23]-Clause|BlueOak-1\.0\.0|ISC|MIT|MIT-0|OFL-1\.1|PSF-2\.0|Unlicense)$/

/** What may be used to make and test it, too. */
const USED = /^(CC-BY-4\.0|CC0-1\.0|MPL-2\.0|Python-2\.0)$/

/** What credentials look like. Each begins as nothing else does. */
const SECRETS: Readonly<Record<string, RegExp>> = {
  'a private key': /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{60}/,
  'a key of a log': /PRIVATE\+KEY\+[^+\s]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]{40,}/,
  'an access key of AWS': /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/,
  'a token of GitHub': /\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{60,})/,
  'a token of npm': /\bnpm_[A-Za-z0-9]{36}\b/,
  'a token of Slack': /\bxox[abprs]-[A-Za-z0-9-]{10,}/,
  'a web hook of Slack': /hooks\.slack\.com\/services\/T[A-Z0-9]{8,}\/B[A-Z0-9]{8,}\/[A-Za-z0-9]{20,}/,
  'a signed token': /\beyJ[\w-]{20,}\.eyJ[\w-]{20,}\.[\w-]{20,}/,
}

/** Made up for tests, and said so by their looks. */
const EXAMPLES = /^(?:AKIAEXAMPLEEXAMPLE12|AKIASOMEBODYELSE1234|PRIVATE\+KEY\+PeterNeumann\+.*)$/

type Locked = Readonly<Record<string, { readonly license?: string; readonly dev?: boolean }>>

/** One line for each package whose licence is none that may come along. */
export function licenceProblems(packages: Locked): string[] {
  return Object.entries(packages).flatMap(([path, { license = 'none', dev = false }]) => {
    if (path === '') return []
    // All of an AND, one of an OR.
    const isGood = license
      .replaceAll(/[()]/g, '')
      .split(' OR ')
      .some((all) => all.split(' AND ').every((one) => SHIPPED.test(one) || (dev && USED.test(one))))
    return isGood ? [] : [`${path.replace(/^node_modules\//, '')} is under ${license}, which is not allowed here`]
  })
}

/** One line for each thing in a text that looks like a credential. */
export function secretsIn(name: string, text: string): string[] {
  return Object.entries(SECRETS).flatMap(([what, form]) =>
    [...text.matchAll(new RegExp(form, 'g'))]
      .filter(([found]) => !EXAMPLES.test(found))
      .map(({ index }) => `${name}:${text.slice(0, index).split('\n').length} has ${what}`),
  )
}

/** What the registry knows; null where it does not answer such questions. */
function advisories(): { readonly problems: string[] } | null {
  const { stdout } = spawnSync('npm', ['audit', '--json', '--audit-level=high'], { cwd: ROOT, encoding: 'utf8' })
  const report = JSON.parse(stdout) as {
    readonly vulnerabilities?: Readonly<Record<string, { readonly severity: string; readonly range: string }>>
  }
  if (report.vulnerabilities === undefined) return null
  return {
    problems: Object.entries(report.vulnerabilities)
      .filter(([, { severity }]) => severity === 'high' || severity === 'critical')
      .map(([name, { severity, range }]) => `${name} ${range} has a fault that is ${severity}: see "npm audit"`),
  }
}

if (import.meta.main) {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    readonly packages: Locked
  }
  const files = execFileSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' }).split('\0').filter(Boolean)
  const secrets = files.flatMap((name) => secretsIn(name, readFileSync(join(ROOT, name), 'latin1')))
  const known = advisories()
  const problems = [...licenceProblems(packages), ...secrets, ...(known?.problems ?? [])]
  for (const problem of problems) process.stderr.write(`${problem}\n`)
  process.stdout.write(
    `${Object.keys(packages).length - 1} packages, ${files.length} files, ${problems.length} problems; advisories ${known === null ? 'were not asked: the registry does not answer' : 'asked'}\n`,
  )
  process.exitCode = problems.length === 0 ? 0 : 1
}
