/** The cryptography that the proxies state, and what follows from it. */
import type { Crypto } from '../../model/window.ts'
import { durationWords } from '../../time/dates.ts'
import { breakable, printable } from '../../text/printable.ts'
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import { sum } from '../summary/sums.ts'
import { lines, listPieces, nameCell, number, plain, table, textCell } from '../table-cells.ts'
import type { TableView } from '../table-cells.ts'
import { countWords, plural } from '../words/vocabulary.ts'
import type { Wording } from '../words/report-context.ts'

/** What the proxies offer, their certificates, and the trust anchors. */
export function cryptoSection(wording: Wording): SectionView {
  const { clusters } = wording.summary
  const known = clusters.filter(({ crypto }) => crypto !== null)
  const silent = clusters.filter(({ crypto }) => crypto === null)
  return section('crypto', 'Cryptography', {
    paragraphs: [
      'The running proxies stated these settings in the latest window with metrics. No metric shows what a connection negotiated, so conclusions from settings are marked as inferred.',
      ...(silent.length === 0
        ? []
        : [`No proxy stated it on ${silent.map(({ id }) => `cluster ${printable(id)}`).join(', ')}.`]),
    ],
    tables: known.flatMap(({ id, crypto }) => (crypto === null ? [] : cryptoTables(wording, id, crypto))),
  })
}

function cryptoTables({ dates, summary }: Wording, id: string, crypto: Crypto): readonly TableView[] {
  const cluster = printable(id)
  const until = (time: string): string => {
    const left = (Date.parse(time) - Date.parse(summary.period.to)) / 1000
    return `${dates.full(time)} (${left > 0 ? `${longWords(left)} after` : 'before'} the end of the period)`
  }
  return [
    table(
      `Versions of running proxies, cluster ${cluster}.`,
      [
        ['Proxy version', 90],
        ['Proxies', 10, 'numbers'],
      ],
      crypto.proxyVersions.map(({ version, proxies }) => [plain(version), number(countWords(proxies))]),
    ),
    table(
      `TLS settings of running proxies, cluster ${cluster}.`,
      [
        ['Key exchange', 28],
        ['Suites', 45],
        ['FIPS', 15],
        ['Proxies', 12, 'numbers'],
      ],
      crypto.tls.map(({ suites, keyExchange, fips, proxies }) => [
        nameCell({ kind: '', pieces: listPieces(keyExchange) }),
        nameCell({ kind: '', pieces: listPieces(suites) }),
        plain(fips),
        number(countWords(proxies)),
      ]),
    ),
    table(
      `Conclusions, cluster ${cluster}.`,
      [
        ['Question', 24],
        ['Answer', 56],
        ['Basis', 20],
      ],
      answersOf(crypto).map(({ question, answer, basis }) => [textCell(question), textCell(answer), textCell(basis)]),
    ),
    table(
      `Certificates and trust anchors, cluster ${cluster}. Proxies state when a certificate expires, not when it was issued.`,
      [
        ['What', 24],
        ['Valid from', 15],
        ['Valid to', 31],
        ['SHA-256', 30],
      ],
      [
        [
          textCell('proxy certificates'),
          textCell('not stated'),
          lines(
            crypto.certificates === null
              ? ['no proxy stated it']
              : [
                  `first of ${plural(crypto.certificates.proxies, 'proxy', 'proxies')}: ${until(crypto.certificates.earliestExpiry)}`,
                  `last: ${until(crypto.certificates.latestExpiry)}`,
                ],
          ),
          textCell('not stated'),
        ],
        ...crypto.trustAnchors.map(({ subject, sha256, notBefore, notAfter }) => [
          nameCell({ kind: 'trust anchor', pieces: breakable(printable(subject)) }),
          textCell(dates.full(notBefore)),
          textCell(until(notAfter)),
          plain(sha256),
        ]),
      ],
    ),
  ].filter(({ rows }) => rows.length > 0)
}

/** Days mean little where it is years. */
function longWords(seconds: number): string {
  const years = Math.floor(seconds / (365.25 * 86_400))
  return years < 2 ? durationWords(seconds) : `more than ${countWords(years)} years`
}

/** The key exchange with a post-quantum part that Linkerd's proxies know. */
const POST_QUANTUM = 'X25519MLKEM768'

/** What the settings of the proxies say, and what follows from them without being seen. */
function answersOf({
  tls,
}: Crypto): readonly { readonly question: string; readonly answer: string; readonly basis: string }[] {
  if (tls.length === 0)
    return [
      {
        question: 'Key exchange, suites, FIPS',
        answer: 'No proxy stated its TLS settings; Linkerd’s proxies do so since edge-25.8.3.',
        basis: 'unknown',
      },
    ]
  const all = sum(tls, ({ proxies }) => proxies)
  const of = (isOne: (setting: Crypto['tls'][number]) => boolean): number =>
    sum(tls.filter(isOne), ({ proxies }) => proxies)
  const hybrid = of(({ keyExchange }) => itemsOf(keyExchange).includes(POST_QUANTUM))
  const fips = of((setting) => setting.fips === 'true')
  const isAll13 = tls.every(({ suites }) => itemsOf(suites).every((suite) => suite.startsWith('TLS13_')))
  return [
    {
      question: 'Post-quantum key exchange',
      answer: `${POST_QUANTUM} is offered by ${countWords(hybrid)} of ${plural(all, 'proxy', 'proxies')}`,
      basis: 'stated by the proxies',
    },
    {
      question: '… on a connection of the mesh',
      answer:
        hybrid === all
          ? 'both ends offer it, so connections between proxies of this cluster use it'
          : hybrid === 0
            ? 'neither end offers it'
            : 'if both ends offer it; which connections these are is unknown',
      basis: 'inferred',
    },
    {
      question: 'TLS version',
      answer: isAll13
        ? 'every offered suite is of TLS 1.3, so connections of the mesh use TLS 1.3'
        : 'suites of other versions than TLS 1.3 are offered; the version that a connection uses is unknown',
      basis: 'inferred',
    },
    {
      question: 'FIPS',
      answer: `${countWords(fips)} of ${plural(all, 'proxy', 'proxies')} state a FIPS mode`,
      basis: 'stated by the proxies',
    },
  ]
}

const itemsOf = (list: string): readonly string[] => list.split(',').map((item) => item.trim())
