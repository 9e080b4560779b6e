import { type PathHistory, type Rule, type RuleFinding } from '../rule.ts'
import {
  clearWindows,
  clearWords,
  doubtOf,
  encryptedWindows,
  isExempt,
  pathFinding,
  sentence,
  untoldWords,
} from '../rule.ts'
import { windowCount } from '../rule.ts'

/** Judges each path on all of its windows. */
export const pathIsEncrypted: Rule = {
  id: 'path-is-encrypted',
  title: 'Paths are encrypted',
  why: 'Whoever can read the network between two pods reads what they say in the clear, credentials included.',
  needs:
    'Every window of the path. One that was not encrypted fails it, whatever the others were. A doubt that may hide clear traffic (labels that replace readings, a proxy whose pod is not confirmed, a source with and without proxies) leaves not enough evidence. Seen is a window by the larger part of the pod time that was read at either end. The TLS of an application that the mesh passes through counts as encrypted. A path that was quiet, that policy refused, or that is exempt, is not applicable.',
  check: ({ paths }) => paths.map(judge),
}

function judge(path: PathHistory): RuleFinding {
  if (isExempt(path)) return pathFinding(path, 'not-applicable', quietWords(path))
  if (clearWindows(path) > 0) return pathFinding(path, 'fail', sentence(clearWords(path)))
  if (doubtOf(path) !== null) return pathFinding(path, 'not-enough-evidence', untoldWords(path))
  if (encryptedWindows(path) === 0) return pathFinding(path, 'not-applicable', quietWords(path), path.seen)
  const { windows } = path
  const byApplication =
    windows['app-tls'] > 0 ? `, in ${windowCount(windows['app-tls'])} by the TLS of the application` : ''
  const detail = `Encrypted in each of the ${windowCount(encryptedWindows(path))} with traffic${byApplication}`
  return pathFinding(path, 'pass', detail, path.seen)
}

/** Why there is nothing to judge. */
function quietWords({ windows }: PathHistory): string {
  if (windows.refused > 0) return `Policy refused all of it, in ${windowCount(windows.refused)}`
  if (windows.exempt > 0) return 'Exempt traffic only: probes, the ports of the proxy itself, or no payload'
  return windows.unknown > 0 ? 'No traffic that can be told' : 'No traffic in the period'
}
