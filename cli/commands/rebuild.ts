import type { Command } from 'commander'
import { foldLines } from '../../lib/text/fold-lines.ts'
import { type DeriveDeps, type Derived, rebuildCluster } from '../../lib/history/derive.ts'
import { updateNotEncrypted } from '../../lib/history/not-encrypted.ts'
import type { Cluster } from '../../lib/model/registry.ts'
import { forgetSetAside } from '../../lib/store/evidence/set-aside.ts'
import { readClusters } from '../../lib/store/registry/registry.ts'
import { StoreError } from '../../lib/store/objects/objects.ts'
import { errorLine } from '../../lib/text/error-line.ts'
import { type Console, FailedError } from '../console.ts'
import { toJson } from '../../lib/text/format-json.ts'
import { chosenClusters, deriveDeps, openStore } from '../open-store.ts'
import { collectValues } from '../option-values.ts'
import { plural } from '../../lib/report/words/vocabulary.ts'

/** Derives a cluster again. One that cannot be derived does not keep the others from it: its windows are null, and a line says why. */
async function rebuilt(
  cluster: Cluster,
  deps: DeriveDeps,
): Promise<{ readonly windows: Derived['windows'] | null; readonly errors: Derived['errors'] }> {
  try {
    // What ended a process may not end this one, and whoever runs it sees if it does.
    await forgetSetAside(cluster.id, deps.objects)
    return await rebuildCluster(cluster, deps)
  } catch (error) {
    if (!(error instanceof Error) || error instanceof StoreError) throw error
    return { windows: null, errors: [`Cannot derive cluster "${cluster.id}" again: ${errorLine(error)}`] }
  }
}

/** Adds `ciphertrail rebuild`. */
export function addRebuild(program: Command, console: Console): void {
  program
    .command('rebuild')
    .summary('derive everything again from the evidence')
    .description(
      'Makes window results, state and timeline again from the stored evidence, which is the truth. Needs no cluster.',
    )
    .option('--cluster <id>', 'only this cluster (may be repeated)', collectValues)
    .option('--json', 'one JSON object for each cluster')
    .addHelpText('after', '\nExamples:\n  ciphertrail rebuild\n  ciphertrail rebuild --cluster prod --json')
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<{
        readonly cluster?: string[]
        readonly json?: boolean
        readonly store?: string
      }>()
      const objects = openStore(options, console)
      let errors = 0
      for (const cluster of await chosenClusters(objects, options.cluster)) {
        console.progress(`Deriving ${cluster.id} again`)
        const derived = await rebuilt(cluster, deriveDeps(objects, console.now()))
        console.progressEnd()
        for (const line of foldLines(derived.errors)) console.err(line)
        errors += derived.errors.length
        if (options.json === true)
          console.out(toJson({ cluster: cluster.id, windows: derived.windows?.length ?? null, errors: derived.errors }))
        else if (derived.windows !== null)
          console.out(`${cluster.id}: ${plural(derived.windows.length, 'window')} derived again`)
      }
      await updateNotEncrypted(
        (await readClusters({ objects })).map(({ id }) => id),
        objects,
      )
      if (errors > 0) throw new FailedError()
    })
}
