import type { Framework } from '../control.ts'

const SOURCE = 'ISO/IEC 27001:2022, Annex A'

/** The controls of ISO/IEC 27001 that ciphertrail says something of. */
export const iso27001: Framework = {
  id: 'iso-27001',
  title: 'ISO/IEC 27001',
  version: '2022',
  controls: [
    {
      id: 'A.8.15',
      relation: 'evidence handling',
      paraphrase: 'Make, keep, protect and analyse logs',
      note: 'How records are kept is not judged by a rule: see the verification page and the storage settings.',
      rules: [],
      source: SOURCE,
    },
    {
      id: 'A.8.16',
      relation: 'supports',
      paraphrase: 'Monitor networks, systems and applications for behaviour out of order',
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
      paraphrase: 'Say what network services must offer for protection, and watch that they do',
      note: null,
      rules: ['path-is-mutual', 'plaintext-is-refused'],
      source: SOURCE,
    },
    {
      id: 'A.8.22',
      relation: 'supports',
      paraphrase: 'Keep groups of services, users and systems apart in networks',
      note: 'Only that policy refuses plain text is judged, not who may talk to whom.',
      rules: ['plaintext-is-refused', 'identity-is-dedicated'],
      source: SOURCE,
    },
    {
      id: 'A.8.24',
      relation: 'direct',
      paraphrase: 'Lay down rules for the use of cryptography and its keys, and implement them',
      note: 'Cryptography between workloads; the rules of the organisation themselves are not seen.',
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
