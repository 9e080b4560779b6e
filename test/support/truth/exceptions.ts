import type { Judgement, Verdict } from './truth.ts'

/**
 * Everything that ciphertrail may say otherwise than the wire, by name and with its reason. Whatever else the judge finds fails the
 * tests, and so does an exception that is no longer needed.
 */
export type Exception = {
  /**
   * `blind`: clear traffic that no proxy could see. `unknown`: mTLS of which it is not told that it is. `unlisted`: traffic with a proxy's
   * own ports without a row. `accused`: a row that says "not encrypted" where nothing in the clear was seen on the wire.
   */
  readonly finding: 'blind' | 'unknown' | 'unlisted' | 'accused'
  /** `source -> destination:port`; `*` stands for any text. */
  readonly path: string
  /** What the row must say; absent: whatever it says. */
  readonly said?: string
  /** Ends of windows, `13:05`; absent: any. */
  readonly windows?: readonly string[]
  readonly reason: string
}

/** What holds for every mesh. */
const EVERYWHERE: readonly Exception[] = [
  {
    finding: 'unknown',
    path: '* -> deployment/linkerd/linkerd-*',
    said: 'tls-anonymous',
    reason:
      'the proxy shows no client identity to the control plane (`tls-anonymous`). The packets show TLS to a server with an identity, and cannot show whether the client has one',
  },
]

const NO_LIST = 'no Kubernetes list was taken before the first window, so its source may have had a pod without a proxy'

export const EXCEPTIONS: Readonly<Record<'demo' | 'public' | 'lives', readonly Exception[]>> = {
  demo: [
    ...EVERYWHERE,
    {
      finding: 'blind',
      path: 'kubelet -> statefulset/warehouse/inventory:8080',
      reason: 'both ends without a proxy; inventory is a blind spot (`unmeshed`)',
    },
    {
      finding: 'blind',
      path: '* -> deployment/emojivoto/voting:8080',
      windows: ['13:15', '13:20'],
      reason:
        'scraper and kubelet have no proxy, and voting had none in these windows, which is its blind spot (`unmeshed`)',
    },
    {
      finding: 'unknown',
      path: 'deployment/emojivoto/vote-bot -> deployment/emojivoto/web:8080',
      windows: ['13:05'],
      reason: NO_LIST,
    },
    {
      finding: 'unknown',
      path: 'deployment/emojivoto/web -> deployment/emojivoto/voting:8080',
      windows: ['13:05'],
      reason: NO_LIST,
    },
    {
      finding: 'unlisted',
      path: '* -> cronjob/warehouse/picker:4191',
      windows: ['13:30'],
      reason: 'Prometheus was unavailable while the pod lived, which is a coverage gap',
    },
  ],
  public: [
    ...EVERYWHERE,
    {
      finding: 'blind',
      path: '*',
      windows: ['12:45'],
      reason:
        'Prometheus was unavailable in the whole window: nothing was collected, and it says so (`not-collected`, blind spot `not-scraped`)',
    },
    {
      finding: 'blind',
      path: 'deployment/pub-legacy/c05-cli -> deployment/pub-legacy/c05-srv:8080',
      reason: 'neither end has a proxy: both are blind spots (`unmeshed`)',
    },
    {
      finding: 'blind',
      path: 'deployment/pub-secure/c24-plain -> deployment/pub-secure/c24-deny:8080',
      reason:
        "the server's policy refuses every scrape, so it is a gap (`scrape-refused`) and a blind spot (`not-scraped`); the client has no proxy",
    },
    {
      finding: 'blind',
      path: 'deployment/pub-app/c27-cli -> deployment/pub-app/c27-srv:5300',
      reason: 'UDP, which no proxy sees: a blind spot (`udp`)',
    },
    {
      finding: 'unknown',
      path: 'deployment/pub-app/c28-a -> deployment/pub-app/c28-srv:8080',
      windows: ['12:15'],
      reason: `${NO_LIST}; another client of the port sent plaintext`,
    },
    {
      finding: 'unlisted',
      path: '*',
      windows: ['12:45'],
      reason: 'Prometheus was unavailable in the whole window',
    },
    {
      finding: 'unlisted',
      path: '* -> deployment/pub-secure/c24-deny:4191',
      reason: "the server's policy refuses every scrape",
    },
    {
      finding: 'unlisted',
      path: 'deployment/linkerd-viz/tap -> deployment/pub-app/c08-cli:4190',
      windows: ['12:15', '12:50'],
      reason:
        'opened in the last seconds of the window and first scraped 0.3 s after its end, so it stands in the next one',
    },
    {
      finding: 'unlisted',
      path: 'deployment/linkerd-viz/tap -> deployment/pub-app/c12-cli:4190',
      windows: ['12:30'],
      reason:
        'opened in the last seconds of the window and first scraped 0.4 s after its end, so it stands in the next one',
    },
  ],
  lives: [
    ...EVERYWHERE,
    {
      finding: 'blind',
      path: 'deployment/rec-a/old-a -> deployment/rec-a/old-b:7020',
      reason: 'neither end has a proxy: both are blind spots (`unmeshed`), listed with their bytes',
    },
    {
      finding: 'blind',
      path: 'cronjob/rec-a/report -> deployment/rec-a/printer:8082',
      windows: ['11:40'],
      reason:
        'each job sends its request three seconds before it ends, and no proxy was scraped after that: gaps of the job (`ended-unscraped`)',
    },
  ],
}

/** The exceptions of a recording, as Markdown. */
export function exceptionsTable(exceptions: readonly Exception[]): string {
  return [
    '| finding | path | windows that end | why |',
    '| --- | --- | --- | --- |',
    ...exceptions.map(
      ({ finding, path, windows, reason }) =>
        `| ${finding} | \`${path}\` | ${windows?.join(', ') ?? 'any'} | ${reason} |`,
    ),
  ].join('\n')
}

/** What the judge found that no exception names, and the exceptions that name nothing: both are to be empty. */
export function unnamed(judgement: Judgement, exceptions: readonly Exception[]): string[] {
  const used = new Set<Exception>()
  const findings = findingsOf(judgement).filter(({ finding, path, end, detail }) => {
    const exception = exceptions.find(
      (one) =>
        one.finding === finding &&
        isLike(one.path, path) &&
        detail.includes(one.said ?? '') &&
        (one.windows?.includes(end) ?? true),
    )
    if (exception !== undefined) used.add(exception)
    return exception === undefined
  })
  return [
    ...findings.map(({ finding, path, end, detail }) => `${end} ${finding}: ${path} ${detail}`),
    ...exceptions.filter((one) => !used.has(one)).map(({ finding, path }) => `not needed, ${finding}: ${path}`),
  ]
}

type Finding = Pick<Exception, 'finding' | 'path'> & { readonly end: string; readonly detail: string }

function findingsOf({ blind, unknown, verdicts, phantoms }: Judgement): Finding[] {
  const of = (finding: Exception['finding'], found: readonly Verdict[]): Finding[] =>
    found.map(({ path, end, rows, excuses }) => ({
      finding,
      path: `${path.source} -> ${path.destination}:${path.ports?.join('|') ?? '?'}`,
      end: clock(end),
      detail: [...rows, ...excuses].join('; '),
    }))
  return [
    ...of('blind', blind),
    ...of('unknown', unknown),
    ...of(
      'unlisted',
      verdicts.filter(({ verdict }) => verdict === 'unlisted'),
    ),
    ...phantoms.map(({ end, row }): Finding => ({ finding: 'accused', path: row, end: clock(end), detail: '' })),
  ]
}

/** `13:05` */
export function clock(time: string): string {
  return time.slice(11, 16)
}

/** Whether a text is like a pattern in which `*` stands for any text. */
export function isLike(pattern: string, text: string): boolean {
  return new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*')}$`).test(text)
}
