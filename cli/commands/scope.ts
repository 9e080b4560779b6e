import type { Command } from 'commander'
import { FRAMEWORKS } from '../../lib/assess/judge/controls.ts'
import { matchesPattern } from '../../lib/text/pattern.ts'
import { readScopes } from '../../lib/assess/judge/parse-scope.ts'
import { type DeclaredScope, settingsOf } from '../../lib/assess/judge/stored-scope.ts'
import { wantedShareWords } from '../../lib/text/share-words.ts'
import type { Scope } from '../../lib/model/judgement.ts'
import { printable } from '../../lib/text/printable.ts'
import { declareScope, declaredScope } from '../../lib/store/registry/declarations.ts'
import { readClusters } from '../../lib/store/registry/registry.ts'
import { readChecked } from '../checked-file.ts'
import type { Console } from '../console.ts'
import { declaredBy, printDeclared } from '../print-declared.ts'
import { toJson } from '../../lib/text/format-json.ts'
import { openStore } from '../open-store.ts'

/** Adds `ciphertrail scope check|set|show`. */
export function addScopeCommands(program: Command, console: Console): void {
  const scope = program
    .command('scope')
    .summary('what each framework is judged on')
    .description(
      'Works on scope.yaml, which says for each framework on which clusters, namespaces and labels it is judged, who answers for that, and why. Without a scope a framework is judged on everything. Reports use the scope that was set last; each one that was set is kept, with who set it and when.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  ciphertrail scope check scope.yaml\n  ciphertrail scope set scope.yaml\n  ciphertrail scope show',
    )

  scope
    .command('check')
    .summary('check the text of a scope.yaml')
    .description(
      'Checks a scope.yaml and says what it declares. Where a store with clusters is at hand, it also says which patterns match none of them.',
    )
    .argument('<file>', 'such as scope.yaml')
    .option('--json', 'one JSON object for each scope, or for each thing that is wrong')
    .addHelpText(
      'after',
      '\nExample:\n  ciphertrail scope check scope.yaml\n\nA scope.yaml:\n  report:\n    organisation: Acme Ltd\n    wantedShare: 99.5\n  pci-dss:\n    clusters: [prod-*]\n    namespaces: [payments, billing]\n    labels: {tier: backend}\n    owner: payments-platform\n    reason: Card data is processed there\n\nExit code 2 where something is wrong: one line for each thing, as\nfile:line:column.',
    )
    .action(async (file: string, _: unknown, command: Command) => {
      const { json = false, store } = command.optsWithGlobals<{ readonly json?: boolean; readonly store?: string }>()
      const { scopes, report } = await readChecked(file, readScopes, json, console)
      const clusters = (await readClusters({ objects: openStore({ store }, console) })).map(({ id }) => id)
      const unmatched = ({ clusters: patterns }: Scope) =>
        clusters.length === 0 ? [] : patterns.filter((pattern) => !clusters.some((id) => matchesPattern(pattern, id)))
      if (json) {
        for (const one of scopes) console.out(toJson({ ok: true, ...one, unmatchedClusters: unmatched(one) }))
        console.out(toJson({ ok: true, report: settingsOf(report) }))
        return
      }
      printScopes({ scopes, report }, console)
      for (const one of scopes)
        for (const pattern of unmatched(one))
          console.err(`Note: no registered cluster matches "${pattern}" of the scope of "${one.framework}"`)
    })

  scope
    .command('set')
    .summary('put a scope.yaml in force')
    .description(
      'Checks a scope.yaml and puts it in force in the store, in place of what was set before. That is recorded once, with who and when, and sealed.',
    )
    .argument('<file>', 'such as scope.yaml')
    .option('--json', 'one JSON object')
    .addHelpText('after', '\nExample:\n  ciphertrail scope set scope.yaml')
    .action(async (file: string, _: unknown, command: Command) => {
      const { json = false, store } = command.optsWithGlobals<{ readonly json?: boolean; readonly store?: string }>()
      const scope = await readChecked(file, readScopes, json, console)
      const objects = openStore({ store }, console)
      const isChanged = await declareScope(scope, { now: console.now(), by: console.user }, objects)
      printDeclared('scope', scope.scopes.length, isChanged, json, console)
    })

  scope
    .command('show')
    .summary('the scope in force')
    .option('--json', 'one JSON object for each scope')
    .addHelpText('after', '\nExample:\n  ciphertrail scope show')
    .action(async (_: unknown, command: Command) => {
      const { json = false, store } = command.optsWithGlobals<{ readonly json?: boolean; readonly store?: string }>()
      const { declared, change } = await declaredScope(openStore({ store }, console))
      if (json) {
        for (const one of declared.scopes) console.out(toJson(one))
        console.out(toJson({ report: settingsOf(declared.report) }))
      } else {
        printScopes(declared, console)
        if (change !== null) console.err(declaredBy(change))
      }
    })
}

function printScopes({ scopes, report }: DeclaredScope, console: Console): void {
  const { wantedShare, judgedClasses } = settingsOf(report)
  console.out(
    `Wanted: ${wantedShareWords(wantedShare)} of the time of each path, workload and cluster; judged: ${judgedClasses.join(', ')}`,
  )
  for (const one of scopes) console.out(scopeLine(one))
  const declared = new Set(scopes.map(({ framework }) => framework))
  const others = FRAMEWORKS.map(({ id }) => id).filter((id) => !declared.has(id))
  if (others.length > 0) console.out(`Judged on everything, without a scope: ${others.join(', ')}`)
}

function scopeLine({ framework, clusters, namespaces, labels, wantedShare, owner }: Scope): string {
  const listed = (one: string, all: readonly string[]) =>
    all.length === 0 ? `every ${one}` : `${one} ${all.join(', ')}`
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${value}`)
  const parts = [
    listed('cluster', clusters),
    listed('namespace', namespaces),
    ...(pairs.length > 0 ? [listed('label', pairs)] : []),
    ...(wantedShare === undefined ? [] : [`${wantedShareWords(wantedShare)} wanted`]),
  ]
  return printable(`${framework}: ${parts.join('; ')}; owner ${owner}`)
}
