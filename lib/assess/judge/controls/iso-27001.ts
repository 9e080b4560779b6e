import type { Framework } from '../control.ts'

const SOURCE = 'ISO/IEC 27001:2022, Annex A'

/** The controls of ISO/IEC 27001 that ciphertrail has evidence for. */
export const iso27001: Framework = {
  id: 'iso-27001',
  title: 'ISO/IEC 27001',
  version: '2022',
  controls: [
    {
      id: 'A.8.15',
      relation: 'evidence handling',
      paraphrase: 'Write, keep, protect and evaluate logs',
      note: 'No rule judges how records are kept. The section “Verification” of the report shows how they are sealed.',
      rules: [],
      source: SOURCE,
    },
    {
      id: 'A.8.16',
      relation: 'supports',
      paraphrase: 'Watch networks, systems and applications for unusual behaviour',
      note: null,
      rules: ['evidence-is-complete', 'inbound-plaintext-absent', 'labels-not-spoofed'],
      source: SOURCE,
    },
    {
      id: 'A.8.20',
      relation: 'supports',
      paraphrase: 'Protect networks and what they carry',
      note: 'Only traffic that the mesh sees.',
      rules: ['path-is-encrypted', 'workload-is-meshed', 'ports-not-bypassed'],
      source: SOURCE,
    },
    {
      id: 'A.8.21',
      relation: 'supports',
      paraphrase: 'Define how network services must be protected, and check that they are',
      note: null,
      rules: ['path-is-mutual', 'plaintext-is-refused'],
      source: SOURCE,
    },
    {
      id: 'A.8.22',
      relation: 'supports',
      paraphrase: 'Keep groups of services, users and systems apart in networks',
      note: 'Only the refusal of plaintext is judged, not which workloads may communicate.',
      rules: ['plaintext-is-refused', 'identity-is-dedicated'],
      source: SOURCE,
    },
    {
      id: 'A.8.24',
      relation: 'direct',
      paraphrase: 'Set rules for cryptography and its keys, and follow them',
      note: 'Only cryptography between workloads; the rules of the organisation are not observed.',
      rules: [
        'path-is-encrypted',
        'crypto-is-current',
        'certificates-rotate',
        'trust-anchor-is-valid',
        'evidence-is-complete',
      ],
      source: SOURCE,
    },
  ],
}
