import type { Framework } from '../control.ts'

const SOURCE = 'FedRAMP baselines Revision 5, additional requirements and guidance'

/** The controls of FedRAMP that ciphertrail says something of. */
export const fedramp: Framework = {
  id: 'fedramp',
  title: 'FedRAMP',
  version: 'Revision 5',
  controls: [
    {
      id: 'SC-8',
      relation: 'direct',
      paraphrase:
        'Protect all data in transit, between compute instances and containers too, and from load balancers to them',
      note: 'Low, moderate and high profiles. Physical protection, SC-8(5), is the alternative. Only flows that the mesh sees are judged: not those from load balancers without a proxy, nor storage replication.',
      rules: [
        'path-is-encrypted',
        'inbound-plaintext-absent',
        'ports-not-bypassed',
        'workload-is-meshed',
        'evidence-is-complete',
      ],
      source: SOURCE,
    },
    {
      id: 'SC-8(1)',
      relation: 'direct',
      paraphrase: 'Do so by cryptography',
      note: 'To be read with SC-13: the cryptography must be of FIPS-validated modules, of which no verdict here says anything. The guidance also asks for DNS and HTTP to be encrypted; UDP is not seen here.',
      rules: ['path-is-encrypted', 'inbound-plaintext-absent', 'crypto-is-current', 'evidence-is-complete'],
      source: SOURCE,
    },
    {
      id: 'SC-13',
      relation: 'supports',
      paraphrase: 'Use cryptography of FIPS-validated modules',
      note: 'Not judged: whether the proxies state FIPS is shown as they state it, and a statement is no validation. Open-source builds of Linkerd state that they have none.',
      rules: [],
      source: SOURCE,
    },
  ],
}
