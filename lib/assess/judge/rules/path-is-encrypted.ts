import { type PathHistory, type Rule, type RuleFinding } from '../rule.ts'
import {
  clearWindows,
  clearWords,
  doubtOf,
  encryptedWindows,
  isExempt,
  pathFinding,
  sentence,
  unknownWindowsWords,
} from '../rule.ts'
import { allOf, windowCount } from '../rule.ts'

/** Judges each path on all of its windows. */
export const pathIsEncrypted: Rule = {
  id: 'path-is-encrypted',
  title: 'Paths are encrypted',
  why: 'Anybody who can read the network between two pods can read unencrypted traffic, credentials included.',
  needs:
    'Every window of the path. If one window was not encrypted, the rule fails, whatever the other windows show. TLS of the application that the mesh passes through counts as encrypted. The verdict is “not enough evidence” if unencrypted traffic may be hidden: pod labels overwrite metric labels, the pod of a proxy is not confirmed, some pods of the source have a proxy and others have none, or IPv6 bypasses both proxies. For each window, ciphertrail calculates the observed share of pod time at the source and at the destination. The larger share counts as seen. The rule is not applicable to a path without traffic, a path whose traffic policy refused, and an exempt path.',
  check: ({ paths }) => paths.map(judge),
}

function judge(path: PathHistory): RuleFinding {
  if (isExempt(path)) return pathFinding(path, 'not-applicable', quietWords(path))
  if (clearWindows(path) > 0) return pathFinding(path, 'fail', sentence(clearWords(path)))
  if (doubtOf(path) !== null) return pathFinding(path, 'not-enough-evidence', unknownWindowsWords(path))
  if (encryptedWindows(path) === 0) return pathFinding(path, 'not-applicable', quietWords(path), path.seen)
  const { windows } = path
  const byApplication =
    windows['app-tls'] > 0 ? `, in ${windowCount(windows['app-tls'])} by TLS of the application` : ''
  const encrypted = encryptedWindows(path)
  const counted =
    windows.unknown === 0 ? allOf(encrypted) : `${encrypted} of ${windowCount(encrypted + windows.unknown)}`
  const detail = `Encrypted in ${counted} with traffic${byApplication}`
  return pathFinding(path, 'pass', detail, path.seen)
}

/** Why there is nothing to judge. */
function quietWords({ windows }: PathHistory): string {
  if (windows.refused > 0) return `Policy refused all traffic, in ${windowCount(windows.refused)}`
  if (windows.exempt > 0)
    return 'Exempt traffic only: probes, ports of the proxy itself, connections without payload, or TLS to the Kubernetes API'
  return windows.unknown > 0 ? 'No traffic of known state' : 'No traffic in the period'
}
