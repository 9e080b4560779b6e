/** Who may import whom. `npm run check` holds the code against it; docs/architecture.md says what each room is for. */

/** The rooms of lib, each above all that it may import: a step never imports a later one. */
const ROOMS = [
  ['model'],
  ['time', 'text'],
  ['net'],
  ['observed'],
  ['collect', 'assess'],
  ['store'],
  ['history'],
  ['seal', 'report'],
  ['pack'],
  ['deliver'],
  ['query'],
  ['jobs'],
]

/** Beside the rooms: what any of them may import. */
const EVERYWHERE = ['lib/concurrently.ts', 'lib/partition-point.ts']

const above = ROOMS.flatMap((rooms, floor) =>
  rooms.map((room) => {
    const later = ROOMS.slice(floor + 1).flat()
    const beside = rooms.filter((other) => other !== room)
    return {
      name: `lib/${room}`,
      comment: `lib/${room} imports no room that is above it or beside it`,
      severity: 'error',
      from: { path: `^lib/${room}/` },
      to: { path: `^lib/(${[...later, ...beside].join('|')})/` },
    }
  }),
)

const pure = {
  path: '^(node:)?(fs|http|https|http2|net|tls|dgram|dns|child_process|worker_threads|os|process)(/|$)|node_modules/(undici|@kubernetes|p-retry)/',
}

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'circle',
      comment: 'no files import each other in a circle, not even for types',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    ...above.filter(({ to }) => !to.path.endsWith('()/')),
    {
      name: 'lib is imported',
      comment: 'lib is imported by the command line, the functions and the rest, never the other way round',
      severity: 'error',
      from: { path: '^lib/' },
      to: { path: '^(cli|functions|bin|demo|bench|infra|generate|record|test)/' },
    },
    {
      name: 'the replay is below the command',
      comment: 'demo/ replays what was recorded; cli/commands/demo/ shows it',
      severity: 'error',
      from: { path: '^demo/' },
      to: { path: '^(cli|functions|bench|record|test)/' },
    },
    {
      name: 'functions are beside cli',
      comment: 'functions are wiring over lib, as cli is beside them',
      severity: 'error',
      from: { path: '^(functions|infra)/' },
      to: { path: '^(cli|bin|demo|bench|record|test)/' },
    },
    {
      name: 'settings are values',
      comment: 'the rooms of lib take their settings as values, from whoever starts a step',
      severity: 'error',
      from: { path: '^lib/.+/' },
      to: { path: '^lib/config\\.ts$' },
    },
    {
      name: 'lib/seal knows what is stored, not what it means',
      severity: 'error',
      from: { path: '^lib/seal/' },
      to: { path: '^lib/(assess|collect)/' },
    },
    {
      name: 'lib/query delivers nothing',
      comment: 'lib/query answers what a link in a mail asks for',
      severity: 'error',
      from: { path: '^lib/query/' },
      to: { path: '^lib/(deliver|collect)/', pathNot: '^lib/deliver/(link/|channel/suppressions\\.ts$)' },
    },
    {
      name: 'lib/report shows what it is given',
      comment:
        'of lib/assess it knows whose a path is, what is in scope, what counts as refused, the share of a period, and two types of what a terminal shows',
      severity: 'error',
      from: { path: '^lib/report/' },
      to: {
        path: '^lib/(assess|net|store|history)/',
        pathNot:
          '^lib/assess/(ends/path-class|judge/(in-scope|cluster-observed-share|seen-as)|window/tap-reading|packets/flow-verdict)\\.ts$',
      },
    },
    {
      name: 'pure',
      comment:
        'what was observed, what it means and how it is shown is data in, data out (node:net tells which text is an address)',
      severity: 'error',
      from: {
        path: '^lib/(model|time|text|observed|assess|report)/',
        pathNot: '^lib/(report/(page-template|report-pdf)|observed/tap-events)\\.ts$',
      },
      to: pure,
    },
    {
      name: 'Typst',
      comment: 'only lib/report/report-pdf.ts renders with Typst',
      severity: 'error',
      from: { pathNot: '^lib/report/report-pdf\\.ts$' },
      to: { path: 'node_modules/@myriaddreamin/' },
    },
    {
      name: 'everybody',
      comment: 'what any room may import imports none',
      severity: 'error',
      from: { path: EVERYWHERE.map((file) => `^${file.replace('.', '\\.')}$`) },
      to: { path: '^lib/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    includeOnly: { path: '^(lib|cli|functions|demo|bench|infra|generate|record)/|^(node:)?[a-z]|node_modules' },
    parser: 'swc',
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { conditionNames: ['node', 'import', 'default'] },
  },
}
