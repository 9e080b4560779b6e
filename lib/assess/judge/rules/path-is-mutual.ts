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
import { windowCount } from '../rule.ts'
import { withUnknownWindows } from '../seen.ts'

/** Judges whether both ends of a path proved who they are. */
export const pathIsMutual: Rule = {
  id: 'path-is-mutual',
  title: 'Both ends of paths prove their identity',
  why: 'Encryption alone does not show who the peer is. Without an identity at both ends, anybody in the cluster may be one of them.',
  needs:
    'Every window of the path. A window without mesh TLS, or without a client identity, fails the rule. A window with TLS of the application is no evidence: the mesh does not see whether both ends proved an identity. Seen time is calculated as for path-is-encrypted.',
  check: ({ paths }) => paths.map(judge),
}

function judge(path: PathHistory): RuleFinding {
  const { windows } = path
  if (isExempt(path)) return pathFinding(path, 'not-applicable', 'Exempt traffic only')
  if (clearWindows(path) > 0) return pathFinding(path, 'fail', sentence(clearWords(path)))
  if (windows['tls-anonymous'] > 0)
    return pathFinding(path, 'fail', `Encrypted without a client identity in ${windowCount(windows['tls-anonymous'])}`)
  if (doubtOf(path) !== null) return pathFinding(path, 'not-enough-evidence', unknownWindowsWords(path))
  if (encryptedWindows(path) === 0)
    return pathFinding(path, 'not-applicable', 'No traffic to judge in the period', path.seen)
  const byApplication = windows['app-tls']
  return {
    ...pathFinding(
      path,
      'pass',
      `Mutual TLS in ${windows.mtls} of ${windowCount(encryptedWindows(path))} with traffic`,
      withUnknownWindows(path.seen, windows.mtls, byApplication),
    ),
    ...(byApplication > 0
      ? {
          untold: `TLS of the application in ${windowCount(byApplication)}, and the mesh does not see its identities`,
        }
      : {}),
  }
}
