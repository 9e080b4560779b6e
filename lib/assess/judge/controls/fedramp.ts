import type { Framework } from '../control.ts'

const SOURCE = 'FedRAMP baselines Revision 5, additional requirements and guidance'

/** The controls of FedRAMP that ciphertrail has evidence for. */
export const fedramp: Framework = {
  id: 'fedramp',
  title: 'FedRAMP',
  version: 'Revision 5',
  controls: [
    {
      id: 'SC-8',
      relation: 'direct',
      paraphrase:
        'Protect all data in transit: between compute instances or containers, between availability zones, and from load balancers',
      note: 'Low, moderate and high profiles. Physical protection, SC-8(5), is the alternative. Only flows that the mesh sees are judged, not flows from load balancers without a proxy, and not storage replication between zones.',
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
      paraphrase: 'Use cryptography to protect data in transit',
      note: 'Read this together with SC-13: the cryptography must come from FIPS-validated modules, and no verdict here covers that. The guidance also asks to encrypt DNS and HTTP; UDP is not observed.',
      rules: ['path-is-encrypted', 'inbound-plaintext-absent', 'crypto-is-current', 'evidence-is-complete'],
      source: SOURCE,
    },
    {
      id: 'SC-13',
      relation: 'supports',
      paraphrase: 'Use cryptography from FIPS-validated modules',
      note: 'No rule judges this. The report shows FIPS as the proxies state it, and a statement is not a validation. Open-source builds of Linkerd state FIPS as false.',
      rules: [],
      source: SOURCE,
    },
  ],
}
