import { hash } from 'node:crypto'
import canonicalize from 'canonicalize'
import type { Framework } from './control.ts'
import { dora } from './controls/dora.ts'
import { fedramp } from './controls/fedramp.ts'
import { hipaa } from './controls/hipaa.ts'
import { iso27001 } from './controls/iso-27001.ts'
import { nis2 } from './controls/nis2.ts'
import { nist800207 } from './controls/nist-800-207.ts'
import { nist80053 } from './controls/nist-800-53.ts'
import { pciDss } from './controls/pci-dss.ts'
import { soc2 } from './controls/soc-2.ts'

/** Raised with every change of the data, so that reports show which version judged them. */
const VERSION = '2'

/** Every framework, in display order. */
export const FRAMEWORKS: readonly Framework[] = [
  nist80053,
  fedramp,
  nist800207,
  soc2,
  iso27001,
  hipaa,
  pciDss,
  dora,
  nis2,
]

/** Version and SHA-256 of the data of all controls, over its canonical JSON (RFC 8785): printed in every report. */
export const CONTROLS = {
  version: VERSION,
  sha256: hash('sha256', canonicalize({ version: VERSION, frameworks: FRAMEWORKS }) ?? '', 'hex'),
} as const
