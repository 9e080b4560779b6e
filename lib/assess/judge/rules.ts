import type { Rule } from './rule.ts'
import { certificatesRotate } from './rules/certificates-rotate.ts'
import { cryptoIsCurrent } from './rules/crypto-is-current.ts'
import { evidenceIsComplete } from './rules/evidence-is-complete.ts'
import { identityIsDedicated } from './rules/identity-is-dedicated.ts'
import { identityIsExpected } from './rules/identity-is-expected.ts'
import { inboundPlaintextAbsent } from './rules/inbound-plaintext-absent.ts'
import { labelsNotSpoofed } from './rules/labels-not-spoofed.ts'
import { pathIsEncrypted } from './rules/path-is-encrypted.ts'
import { pathIsMutual } from './rules/path-is-mutual.ts'
import { plaintextIsRefused } from './rules/plaintext-is-refused.ts'
import { portsNotBypassed } from './rules/ports-not-bypassed.ts'
import { sourcesAgree } from './rules/sources-agree.ts'
import { trustAnchorIsValid } from './rules/trust-anchor-is-valid.ts'
import { workloadIsMeshed } from './rules/workload-is-meshed.ts'

/** Every rule, in display order: traffic on the wire, policy and setup, identities, cryptography, evidence. */
export const RULES: readonly Rule[] = [
  pathIsEncrypted,
  pathIsMutual,
  inboundPlaintextAbsent,
  plaintextIsRefused,
  workloadIsMeshed,
  portsNotBypassed,
  identityIsExpected,
  identityIsDedicated,
  cryptoIsCurrent,
  certificatesRotate,
  trustAnchorIsValid,
  sourcesAgree,
  labelsNotSpoofed,
  evidenceIsComplete,
]
