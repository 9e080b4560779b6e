/** What the service costs a month: requests as tests count them, bytes as measured, prices as data. `npm run cost` writes docs/cost.md from it. */

/** Requests to S3 of one step. Lists are charged as writes are. */
export type S3Requests = { readonly gets: number; readonly lists: number; readonly puts: number }

/** Counted by test/generate/cost-page.test.ts. */
export const COUNTED = {
  /**
   * A window: registry twice, what vouches for the cluster and whether it was changed since, the state, the attempt read back, the one before it; its
   * attempts listed; attempt, result and state written. For what the windows come to that are in no month yet: that read and written, and two results read.
   */
  collect: { gets: 11, lists: 1, puts: 4 },
  /** Of the window whose time to be asked again has come: the state, what was asked, the attempt that stands; what was asked written. */
  again: { gets: 4, lists: 0, puts: 1 },
  /** A run, whatever the number of clusters; for each cluster with evidence in the last seven hours one get more. */
  plan: { gets: 2, lists: 1, puts: 0 },
  /** What a run of plan looks at for mail, where channels are and nothing is due: the channels, and who gets none. */
  mailLook: { gets: 1, lists: 2, puts: 0 },
  /** A run where nothing is to be told: channels and what was told to one, registry twice, waivers, whether there is a log. */
  alert: { gets: 5, lists: 4, puts: 0 },
  /** Of it, each cluster: its state, and the result of a window that came since. */
  alertCluster: { gets: 2, lists: 0, puts: 0 },
  /** A mail: its claim read twice, claimed, and settled. What a channel's mail is made from comes once for all of its recipients. */
  mail: { gets: 2, lists: 0, puts: 2 },
} as const satisfies Readonly<Record<string, S3Requests>>

/** Of a leaf, and of a run: see decision 0029, and test/jobs/requests.test.ts. */
const SEAL = { run: { gets: 12, lists: 3, puts: 7 }, leaf: { gets: 1, lists: 0, puts: 1 } }

/** Bytes of the recorded mesh of the demo, 30 proxies, five minutes; of an hour nothing was measured, it is taken as four times as much. */
const BYTES = { evidence: 125_000, result: 66_000, hourFactor: 4 }

/** Seconds that a function is taken to run, and its memory in GB. Assumed: only AWS can show it. */
const RUNS = {
  plan: { seconds: 1, gigabytes: 1 },
  collect: { seconds: 12, gigabytes: 2 },
  seal: { seconds: 5, gigabytes: 1 },
  compact: { seconds: 5, gigabytes: 2 },
  report: { seconds: 60, gigabytes: 3 },
  alert: { seconds: 2, gigabytes: 1 },
  deliver: { seconds: 10, gigabytes: 1 },
}

/** US dollars, list prices of us-east-1 without free tiers. Prices change and other regions differ: put yours here. */
const PRICES = {
  's3 put or list': 0.005 / 1000,
  's3 get': 0.0004 / 1000,
  's3 gigabyte month': 0.023,
  'lambda gigabyte second (arm64)': 0.000_013_333_4,
  'lambda request': 0.2 / 1e6,
  'sqs request': 0.4 / 1e6,
  'scheduler invocation': 1 / 1e6,
  'ses mail': 0.1 / 1000,
  'kms key month': 1,
  'kms signature (ecc)': 0.15 / 10_000,
  'log gigabyte': 0.5,
  'metric month': 0.3,
  'alarm month': 0.1,
  'dashboard month': 3,
}

const HOURS = 730
const KEPT_MONTHS = 13
/** As functions/ and infra/resources/alarms.yml have them. */
export const METRICS = 26
export const ALARMS = 40
/** Lambda asks an empty queue all the time: five pollers, twenty seconds each. */
const QUEUES = 3
const EMPTY_RECEIVES = (QUEUES * 5 * HOURS * 3600) / 20
/** Two channels of ten people. */
const CHANNELS = 2
const MAILS = (CHANNELS * 10 * 52) / 12
const LOG_BYTES = 1500

export type Cost = {
  readonly windows: number
  readonly requests: S3Requests
  /** Dollars a month. */
  readonly parts: Readonly<Record<string, number>>
  readonly total: number
}

/** A month of so many clusters with windows of so many minutes, once evidence has been kept for its 13 months. */
export function monthOf(clusters: number, minutes: 5 | 60): Cost {
  const windows = (clusters * HOURS * 60) / minutes
  const plans = HOURS * 12
  const seals = HOURS
  const days = HOURS / 24
  // Nineteen days of everybody's evidence are listed once (decision 0051).
  const compactLists = Math.ceil((clusters * 19 * 24 * 60) / minutes / 1000)
  // Each window once, and those of the last eight hours, which stay out of the months.
  const compactRequests = {
    gets: clusters * days * (12 + (8 * 60) / minutes) + windows,
    lists: days * compactLists,
    puts: clusters * days * 6,
  }
  const requests = sum([
    times(windows, COUNTED.collect),
    times(windows, COUNTED.again),
    times(plans, COUNTED.plan),
    times(plans, COUNTED.mailLook),
    times(plans, COUNTED.alert),
    times(plans * clusters, COUNTED.alertCluster),
    times(MAILS, COUNTED.mail),
    { gets: plans * clusters, lists: plans * Math.floor((clusters * 420) / minutes / 1000), puts: 0 },
    times(seals, SEAL.run),
    times(windows, SEAL.leaf),
    compactRequests,
  ])
  const factor = minutes === 60 ? BYTES.hourFactor : 1
  const stored = (windows * (BYTES.evidence + BYTES.result) * factor * KEPT_MONTHS) / 1e9
  const seconds = (run: { seconds: number; gigabytes: number }, count: number): number =>
    run.seconds * run.gigabytes * count
  const compute =
    seconds(RUNS.plan, plans) +
    seconds(RUNS.collect, windows) +
    seconds(RUNS.seal, seals) +
    seconds(RUNS.compact, days * clusters) +
    seconds(RUNS.report, days + 4 * clusters) +
    seconds(RUNS.alert, plans) +
    seconds(RUNS.deliver, (CHANNELS * 52) / 12)
  const events = 2 * plans + windows + seals + 2 * days
  const parts = {
    'S3 requests': requests.gets * PRICES['s3 get'] + (requests.lists + requests.puts) * PRICES['s3 put or list'],
    'S3 storage': stored * PRICES['s3 gigabyte month'],
    Lambda: compute * PRICES['lambda gigabyte second (arm64)'] + events * PRICES['lambda request'],
    'SQS and schedules':
      (EMPTY_RECEIVES + windows * 2.1) * PRICES['sqs request'] +
      (2 * plans + seals + 2 * days) * PRICES['scheduler invocation'],
    mail: MAILS * PRICES['ses mail'],
    'three keys, and signing': 3 * PRICES['kms key month'] + 2 * seals * PRICES['kms signature (ecc)'],
    'logs, metrics, alarms, dashboard':
      (events * LOG_BYTES * PRICES['log gigabyte']) / 1e9 +
      METRICS * PRICES['metric month'] +
      ALARMS * PRICES['alarm month'] +
      PRICES['dashboard month'],
  }
  return { windows, requests, parts, total: Object.values(parts).reduce((all, part) => all + part, 0) }
}

function times(count: number, { gets, lists, puts }: S3Requests): S3Requests {
  return { gets: gets * count, lists: lists * count, puts: puts * count }
}

function sum(all: readonly S3Requests[]): S3Requests {
  return all.reduce((a, b) => ({ gets: a.gets + b.gets, lists: a.lists + b.lists, puts: a.puts + b.puts }))
}

/** A table of Markdown as the formatter writes it: columns of one width, all but the first to the right. The first row is the head. */
function alignedTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)))
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const padded = rows.map((cells) =>
    line(cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))),
  )
  const rule = line(widths.map((width, at) => (at === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)))
  return [padded[0], rule, ...padded.slice(1)].join('\n')
}

/** docs/cost.md. */
export function costPage(): string {
  const cases = [1, 100, 1000].flatMap((clusters) =>
    ([60, 5] as const).map((minutes) => ({ clusters, minutes, cost: monthOf(clusters, minutes) })),
  )
  const count = (number: number): string => Math.round(number).toLocaleString('en-US')
  const dollars = (number: number): string => `$${number < 10 ? number.toFixed(2) : count(number)}`
  const rows = (title: string, cell: (cost: Cost) => string): readonly string[] => [
    title,
    ...cases.map(({ cost }) => cell(cost)),
  ]
  const { collect, again, plan, mailLook, alert, alertCluster, mail } = COUNTED
  const table = alignedTable([
    ['', ...cases.map(({ clusters, minutes }) => `${count(clusters)}, ${minutes === 60 ? 'hours' : '5 min'}`)],
    rows('windows collected', ({ windows }) => count(windows)),
    rows('S3 gets', ({ requests }) => count(requests.gets)),
    rows('S3 puts', ({ requests }) => count(requests.puts)),
    rows('S3 lists', ({ requests }) => count(requests.lists)),
    ...Object.keys(cases[0]?.cost.parts ?? {}).map((name) => rows(name, ({ parts }) => dollars(parts[name] ?? 0))),
    rows('**together**', ({ total }) => `**${dollars(total)}**`),
    ['for each cluster', ...cases.map(({ clusters, cost }) => dollars(cost.total / clusters))],
  ])
  return `# What the service costs

The cost of one month on AWS, by the number of clusters and the window size. The storage is that of ${KEPT_MONTHS} months of evidence. \`npm run cost\` makes this page from \`generate/cost-page.ts\`: put your prices and bytes there.

${table}

## Where the numbers come from

- **Requests are counted** by tests. A window is ${collect.gets} gets, ${collect.lists} list and ${collect.puts} puts, and ${again.gets} gets and ${again.puts} put where it is asked again (\`test/generate/cost-page.test.ts\`); a run of \`plan\`, ${plan.gets + mailLook.gets} gets and ${plan.lists + mailLook.lists} lists, and one get for each cluster; a run of \`alert\`, ${alert.gets} gets and ${alert.lists} lists, and ${alertCluster.gets} gets for each cluster, as long as a container lives that remembers what it read; a mail, ${mail.gets} gets and ${mail.puts} puts; \`seal\` and \`compact\` as in [decision 0029](decisions/0029-who-writes-months.md) (\`test/jobs/requests.test.ts\`). One cluster costs the same whatever the number of the others.
- **Bytes are measured** on the recorded mesh of the demo: ${count(BYTES.evidence)} bytes of evidence and ${count(BYTES.result)} of result for 30 proxies and five minutes. They grow with proxies and with the traffic that had no mesh TLS. Windows of one hour were not measured; the table takes ${BYTES.hourFactor} times the bytes of five minutes.
- **Each window is asked twice**, the second time some minutes after its end, by the run that collects a later one ([decision 0059](decisions/0059-asked-again.md)): Prometheus answers the same queries twice, the lists are read once, and a second attempt is stored only where the answer differs. Where remote write is late in every window, evidence takes twice the storage.
- **Seconds and memory are assumed**, generously: ${Object.entries(RUNS)
    .map(([name, { seconds, gigabytes }]) => `${name} ${seconds} s at ${gigabytes} GB`)
    .join(', ')}. Only AWS can show them.
- **Prices** are list prices of us-east-1 in US dollars, without free tiers. The free tiers cover the functions, queues and schedules of a few clusters. Look up the prices of your region.

The mail row is ${CHANNELS} channels of ten people. A thousand mails cost 10 cents, and storing their records another 10 cents. An audit pack that somebody asks for is stored as long as you keep it (2 cents a month for each GB), and costs a get for each piece of evidence and at most 3 cents of Lambda to make. Not in it: the API and its transfers (a dollar for a million requests), a VPC's endpoints or NAT gateway (tens of dollars a month, more than all the rest for few clusters), replication, and Secrets Manager ($0.40 for each token). S3 Bucket Keys keep the requests to KMS to a few. CloudTrail data events on the evidence bucket, if a policy requires them, cost about as much as the writes.

**What makes it cheaper:** windows of an hour where nobody needs to know within minutes; \`plan-schedule\` and \`alert-schedule\` every quarter of an hour then, too; evidence that expires (\`evidence-expires\`).
`
}
