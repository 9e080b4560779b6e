import type { Framework } from '../control.ts'

const SOURCE = 'AICPA Trust Services Criteria 2017, points of focus revised 2022'

/** The criteria of SOC 2 that ciphertrail has evidence for. */
export const soc2: Framework = {
  id: 'soc-2',
  title: 'SOC 2',
  version: 'Trust Services Criteria 2017, revised points of focus 2022',
  controls: [
    {
      id: 'CC4.1',
      relation: 'supports',
      paraphrase: 'Evaluate whether controls exist and work',
      note: 'A type II report covers its whole period, so the evidence must cover it too.',
      rules: ['evidence-is-complete', 'sources-agree'],
      source: SOURCE,
    },
    {
      id: 'CC6.1',
      relation: 'supports',
      paraphrase: 'Restrict logical access to what needs protection',
      note: 'Encryption is a point of focus.',
      rules: ['path-is-mutual', 'identity-is-dedicated', 'plaintext-is-refused'],
      source: SOURCE,
    },
    {
      id: 'CC6.6',
      relation: 'supports',
      paraphrase: 'Protect against threats from outside the boundaries of the system',
      note: 'Only at the boundary of each workload in the mesh.',
      rules: ['inbound-plaintext-absent', 'plaintext-is-refused', 'ports-not-bypassed'],
      source: SOURCE,
    },
    {
      id: 'CC6.7',
      relation: 'direct',
      paraphrase: 'Restrict and protect information while it is transmitted, moved or removed',
      note: 'Transmission between workloads only.',
      rules: ['path-is-encrypted', 'inbound-plaintext-absent', 'evidence-is-complete'],
      source: SOURCE,
    },
    {
      id: 'CC7.1',
      relation: 'supports',
      paraphrase: 'Detect configuration changes that open a weakness',
      note: null,
      rules: ['workload-is-meshed', 'ports-not-bypassed', 'plaintext-is-refused'],
      source: SOURCE,
    },
    {
      id: 'CC7.2',
      relation: 'supports',
      paraphrase: 'Monitor the system for unusual behaviour',
      note: null,
      rules: ['evidence-is-complete', 'inbound-plaintext-absent', 'labels-not-spoofed'],
      source: SOURCE,
    },
  ],
}
