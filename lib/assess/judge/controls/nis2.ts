import type { Framework } from '../control.ts'

/** The controls of NIS2 that ciphertrail has evidence for. */
export const nis2: Framework = {
  id: 'nis2',
  title: 'NIS2',
  version: 'Directive (EU) 2022/2555, Implementing Regulation (EU) 2024/2690',
  controls: [
    {
      id: 'Art. 21(2)(h)',
      relation: 'supports',
      paraphrase: 'Have policies for the use of cryptography and, where appropriate, encryption',
      note: 'Encrypted traffic shows a policy at work; the policy itself is not observed.',
      rules: ['path-is-encrypted', 'crypto-is-current'],
      source: 'Directive (EU) 2022/2555',
    },
    {
      id: 'Annex 6.7.2(i)',
      relation: 'direct',
      paraphrase:
        'Let distinct systems communicate only through trusted channels that assure the identity of both ends',
      note: null,
      rules: ['path-is-encrypted', 'path-is-mutual', 'identity-is-expected', 'evidence-is-complete'],
      source: 'Implementing Regulation (EU) 2024/2690',
    },
    {
      id: 'Annex 9.2(a)',
      relation: 'direct',
      paraphrase: 'Decide the type, strength and quality of cryptography for data at rest and in transit',
      note: 'Data in transit only.',
      rules: ['path-is-encrypted', 'crypto-is-current', 'evidence-is-complete'],
      source: 'Implementing Regulation (EU) 2024/2690',
    },
  ],
}
