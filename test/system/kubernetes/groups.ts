import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'

/** Control groups of its own for the node's pods, in each hierarchy: two nodes would else take each other's for orphans. */
export function makeGroups(group: string): void {
  for (const hierarchy of hierarchies()) mkdirSync(join(hierarchy, group), { recursive: true })
}

function hierarchies(): string[] {
  const root = '/sys/fs/cgroup'
  if (existsSync(join(root, 'cgroup.controllers'))) return [root]
  return readdirSync(root, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? [join(root, entry.name)] : [],
  )
}

/** Removes the control groups of a node. Throws as long as one of its processes is still going. */
export function removeGroups(group: string): void {
  const remove = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true }))
      if (entry.isDirectory()) remove(join(folder, entry.name))
    rmdirSync(folder)
  }
  for (const hierarchy of hierarchies()) if (existsSync(join(hierarchy, group))) remove(join(hierarchy, group))
}

/** The ids of the processes of this machine that run a program with a folder among their arguments. */
export function processesOf(program: string, folder: string): number[] {
  return processes(
    ([command = '', ...args]) => command.endsWith(`/${program}`) && args.some((arg) => arg.includes(folder)),
  )
}

/** The ids of the processes of this machine that run a program in a control group. */
export function processesIn(group: string, program: string): number[] {
  return processes(
    ([command], id) => command === program && readFileSync(`/proc/${id}/cgroup`, 'utf8').includes(`/${group}/`),
  )
}

function processes(isWanted: (words: readonly string[], id: string) => boolean): number[] {
  return readdirSync('/proc').flatMap((id) => {
    if (!/^\d+$/.test(id)) return []
    try {
      return isWanted(readFileSync(`/proc/${id}/cmdline`, 'utf8').split('\0'), id) ? [Number(id)] : []
    } catch {
      return [] // it is gone
    }
  })
}
