/** Returns what documents and pages say on top where clusters are replays, each sentence once; null if none is. */
export function replayNote(clusters: readonly { readonly replay?: string | null }[]): string | null {
  const sentences = new Set(clusters.flatMap(({ replay }) => replay ?? []))
  return sentences.size === 0 ? null : [...sentences].join(' ')
}
