import type { Framework } from '../control.ts'

const REGULATION = 'Regulation (EU) 2022/2554'
const STANDARDS = 'Delegated Regulation (EU) 2024/1774'

/** The controls of DORA that ciphertrail has evidence for. */
export const dora: Framework = {
  id: 'dora',
  title: 'DORA',
  version: 'Regulation (EU) 2022/2554, Delegated Regulation (EU) 2024/1774',
  controls: [
    {
      id: 'Art. 9(2)',
      relation: 'supports',
      paraphrase: 'Keep data available, authentic, unchanged and confidential at rest, in use and in transit',
      note: 'Data in transit only.',
      rules: ['path-is-encrypted', 'path-is-mutual'],
      source: REGULATION,
    },
    {
      id: 'Art. 9(4)(d)',
      relation: 'supports',
      paraphrase: 'Implement strong authentication, and protect cryptographic keys',
      note: 'Authentication of workloads and keys of the mesh only.',
      rules: ['path-is-mutual', 'certificates-rotate', 'trust-anchor-is-valid'],
      source: REGULATION,
    },
    {
      id: 'RTS Art. 6(2)(a)',
      relation: 'direct',
      paraphrase: 'Encrypt data at rest and in transit',
      note: 'Data in transit only.',
      rules: ['path-is-encrypted', 'inbound-plaintext-absent', 'evidence-is-complete'],
      source: STANDARDS,
    },
    {
      id: 'RTS Art. 6(2)(c)',
      relation: 'direct',
      paraphrase: 'Encrypt internal network connections and traffic with external parties',
      note: 'Only connections that the mesh sees.',
      rules: [
        'path-is-encrypted',
        'inbound-plaintext-absent',
        'workload-is-meshed',
        'ports-not-bypassed',
        'evidence-is-complete',
      ],
      source: STANDARDS,
    },
    {
      id: 'RTS Art. 6(5)',
      relation: 'direct',
      paraphrase: 'If cryptography cannot be used as required, record what is done instead, with reasons',
      note: 'The waiver register is such a record; no rule judges its reasons.',
      rules: [],
      source: STANDARDS,
    },
    {
      id: 'RTS Art. 7',
      relation: 'direct',
      paraphrase: 'Manage cryptographic keys through their whole lifecycle, with a register of certificates',
      note: 'Keys and certificates of the mesh only.',
      rules: ['certificates-rotate', 'trust-anchor-is-valid'],
      source: STANDARDS,
    },
    {
      id: 'RTS Art. 13',
      relation: 'direct',
      paraphrase: 'Protect networks against intrusion and misuse of data',
      note: 'Traffic between workloads only.',
      rules: ['path-is-encrypted', 'plaintext-is-refused', 'ports-not-bypassed', 'workload-is-meshed'],
      source: STANDARDS,
    },
    {
      id: 'RTS Art. 14(1)(a)',
      relation: 'direct',
      paraphrase: 'Keep data in transit available, authentic, unchanged and confidential, with procedures to assess it',
      note: null,
      rules: ['path-is-encrypted', 'path-is-mutual', 'sources-agree', 'evidence-is-complete'],
      source: STANDARDS,
    },
  ],
}
