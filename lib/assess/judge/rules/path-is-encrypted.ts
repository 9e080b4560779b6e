import {
  type PathHistory,
  type Rule,
  clearWindows,
  clearWords,
  encryptedWindows,
  pathFinding,
  sentence,
  unknownWindows,
  untoldWords,
  windowCount,
} from '../rule.ts'

/** Judges each path on all of its windows. */
export const pathIsEncrypted: Rule = {
  id: 'path-is-encrypted',
  title: 'The path was encrypted in each window with traffic',
  failTitle: 'The path was not encrypted by the mesh in some window',
  why: 'Whoever can read the network between two pods reads what they say in the clear, credentials included.',
  needs:
    'Every window of the path. One that was not encrypted fails it, whatever the others were. Without such a window, one that is unknown or was not collected makes it unknown. The TLS of an application that the mesh passes through counts as encrypted. A path that was quiet in a wholly collected period, that policy refused, or that is exempt, is not applicable.',
  check: ({ paths }) => paths.map(judge),
}

function judge(path: PathHistory) {
  if (clearWindows(path) > 0) return pathFinding(path, 'fail', sentence(clearWords(path)))
  if (unknownWindows(path) > 0) {
    const rest = encryptedWindows(path)
    const words = rest > 0 ? `${untoldWords(path)}; encrypted in ${windowCount(rest)}` : untoldWords(path)
    return pathFinding(path, 'unknown', sentence(words))
  }
  const { windows } = path
  if (encryptedWindows(path) === 0) return pathFinding(path, 'not-applicable', quietWords(path))
  const byApplication =
    windows['app-tls'] > 0 ? `, in ${windowCount(windows['app-tls'])} by the TLS of the application` : ''
  return pathFinding(
    path,
    'pass',
    `Encrypted in each of the ${windowCount(encryptedWindows(path))} with traffic${byApplication}`,
  )
}

/** Why there is nothing to judge. */
function quietWords({ windows }: PathHistory): string {
  if (windows.refused > 0) return `Policy refused all of it, in ${windowCount(windows.refused)}`
  if (windows.exempt > 0) return 'Exempt traffic only: probes, the ports of the proxy itself, or no payload'
  return 'No traffic in the period'
}
