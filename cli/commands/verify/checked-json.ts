import type { Verification } from '../../../lib/seal/verify/verify-period.ts'

/** Returns what `--json` prints of any verification, of a store or of a pack. Hashes are base64, as checkpoints have them. */
export function checkedJson({ checkpoint, since, findings }: Pick<Verification, 'checkpoint' | 'since' | 'findings'>) {
  const base64 = (root: Uint8Array): string => Buffer.from(root).toString('base64')
  return {
    checkpoint:
      checkpoint === null ? null : { origin: checkpoint.origin, size: checkpoint.size, root: base64(checkpoint.root) },
    since: since === null ? null : { ...since, root: base64(since.root) },
    findings: findings.kept,
    findingsTotal: findings.total,
  }
}
