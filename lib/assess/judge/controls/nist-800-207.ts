import type { Framework } from '../control.ts'

const SOURCE = 'NIST SP 800-207, section 2.1; the numbers were not checked against the text'

/** The tenets of NIST SP 800-207 that ciphertrail has evidence for. */
export const nist800207: Framework = {
  id: 'nist-800-207',
  title: 'NIST SP 800-207 (zero trust)',
  version: 'August 2020',
  controls: [
    {
      id: 'Tenet 2',
      relation: 'direct',
      paraphrase: 'Protect all communication, wherever its ends are in the network',
      note: null,
      rules: ['path-is-encrypted', 'path-is-mutual', 'inbound-plaintext-absent', 'evidence-is-complete'],
      source: SOURCE,
    },
    {
      id: 'Tenet 5',
      relation: 'supports',
      paraphrase: 'Monitor and measure the state of all assets',
      note: 'Only workloads of a cluster, and only what concerns the mesh.',
      rules: ['workload-is-meshed', 'ports-not-bypassed', 'labels-not-spoofed'],
      source: SOURCE,
    },
    {
      id: 'Tenet 7',
      relation: 'supports',
      paraphrase: 'Collect as much as possible about assets, network and communication, and learn from it',
      note: null,
      rules: ['evidence-is-complete', 'sources-agree'],
      source: SOURCE,
    },
  ],
}
