import type { Framework } from '../control.ts'

const SOURCE = '45 CFR part 164, subpart C (Security Rule)'
const KEPT = 'No rule judges how records are kept. The section “Verification” of the report shows how they are sealed.'

/** The controls of the HIPAA Security Rule that ciphertrail has evidence for. */
export const hipaa: Framework = {
  id: 'hipaa',
  title: 'HIPAA Security Rule',
  version: '45 CFR part 164, subpart C',
  controls: [
    {
      id: '164.312(c)(1)',
      relation: 'evidence handling',
      paraphrase: 'Protect electronic health information from improper change or destruction',
      note: KEPT,
      rules: [],
      source: SOURCE,
    },
    {
      id: '164.312(e)(1)',
      relation: 'direct',
      paraphrase: 'Guard electronic health information against unauthorised access while it is transmitted',
      note: 'Which paths carry health information is not seen.',
      rules: ['path-is-encrypted', 'inbound-plaintext-absent', 'evidence-is-complete'],
      source: SOURCE,
    },
    {
      id: '164.312(e)(2)(i)',
      relation: 'direct',
      paraphrase: 'Make sure that transmitted information is not changed unnoticed',
      note: 'Addressable: implement it, or document why not. A proposal of 2025 would make it required; its adoption was not checked.',
      rules: ['path-is-encrypted', 'evidence-is-complete'],
      source: SOURCE,
    },
    {
      id: '164.312(e)(2)(ii)',
      relation: 'direct',
      paraphrase: 'Encrypt electronic health information wherever this is appropriate',
      note: 'Addressable: implement it, or document why not. A proposal of 2025 would make it required; its adoption was not checked.',
      rules: ['path-is-encrypted', 'crypto-is-current', 'evidence-is-complete'],
      source: SOURCE,
    },
    {
      id: '164.316(b)(2)(i)',
      relation: 'evidence handling',
      paraphrase: 'Keep documentation for six years',
      note: KEPT,
      rules: [],
      source: SOURCE,
    },
  ],
}
