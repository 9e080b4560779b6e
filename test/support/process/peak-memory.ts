import { existsSync, readFileSync } from 'node:fs'

/** The most memory that this process had so far, in MB. On Linux by its own table: what the system counts for a child begins with what its parent had. */
export function peakMegabytes(): number {
  const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : ''
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]
  return Math.round(Number(kilobytes ?? process.resourceUsage().maxRSS) / 1024)
}
