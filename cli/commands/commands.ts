/** The commands in the order of the help, each loaded when it is called: all of them together take half a second. */
import type { Command } from 'commander'
import type { Console } from '../console.ts'

/** Adds the commands of one file to the program. */
type AddCommands = (program: Command, console: Console) => void

/** What a file adds: the names of its commands, and how it is loaded. */
type CommandFile = { readonly names: readonly string[]; readonly load: () => Promise<AddCommands> }

const FILES: readonly CommandFile[] = [
  { names: ['status'], load: async () => (await import('./status.ts')).addStatus },
  { names: ['cluster'], load: async () => (await import('./cluster.ts')).addClusterCommands },
  { names: ['collect'], load: async () => (await import('./collect.ts')).addCollect },
  { names: ['look'], load: async () => (await import('./look/look.ts')).addLook },
  { names: ['agent'], load: async () => (await import('./agent.ts')).addAgent },
  { names: ['edges'], load: async () => (await import('./edges.ts')).addEdges },
  { names: ['export'], load: async () => (await import('./export.ts')).addExport },
  { names: ['paths'], load: async () => (await import('./paths/paths.ts')).addPaths },
  { names: ['episodes'], load: async () => (await import('./episodes.ts')).addEpisodes },
  { names: ['diff'], load: async () => (await import('./diff.ts')).addDiff },
  { names: ['workloads'], load: async () => (await import('./workloads.ts')).addWorkloads },
  { names: ['report'], load: async () => (await import('./report.ts')).addReport },
  { names: ['channel'], load: async () => (await import('./channel/channel.ts')).addChannelCommands },
  { names: ['deliver', 'deliveries'], load: async () => (await import('./deliver.ts')).addDeliver },
  { names: ['alert'], load: async () => (await import('./alert.ts')).addAlert },
  { names: ['scope'], load: async () => (await import('./scope.ts')).addScopeCommands },
  { names: ['waiver'], load: async () => (await import('./waiver.ts')).addWaiverCommands },
  { names: ['seal'], load: async () => (await import('./seal.ts')).addSeal },
  { names: ['key'], load: async () => (await import('./key.ts')).addKeyCommands },
  { names: ['log'], load: async () => (await import('./log.ts')).addLogCommands },
  { names: ['verify'], load: async () => (await import('./verify/verify.ts')).addVerify },
  { names: ['pack'], load: async () => (await import('./pack/pack.ts')).addPack },
  { names: ['sample'], load: async () => (await import('./pack/sample.ts')).addSample },
  { names: ['review'], load: async () => (await import('./pack/review.ts')).addReview },
  { names: ['tap'], load: async () => (await import('./tap.ts')).addTap },
  { names: ['packets'], load: async () => (await import('./packets.ts')).addPackets },
  { names: ['rebuild'], load: async () => (await import('./rebuild.ts')).addRebuild },
  { names: ['run'], load: async () => (await import('./run/run.ts')).addRun },
  { names: ['serve'], load: async () => (await import('./serve.ts')).addServe },
  { names: ['worker'], load: async () => (await import('./run/worker.ts')).addWorker },
  { names: ['demo'], load: async () => (await import('./demo/demo.ts')).addDemo },
]

/** Adds the command that is called, and all of them where it is none of them: their help, their completion, or a name that is not understood. */
export async function addCommands(called: string | undefined, program: Command, console: Console): Promise<void> {
  const own = FILES.filter(({ names }) => called !== undefined && names.includes(called))
  for (const { load } of own.length > 0 ? own : FILES) (await load())(program, console)
}
