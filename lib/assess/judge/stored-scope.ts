/** The declared scope as it is stored, and the report settings in force; parse-scope.ts reads the YAML that people write. */
import * as z from 'zod'
import type { ReportSettings, Scope } from '../../model/judgement.ts'
import { PATH_CLASSES } from '../../model/path.ts'

/** Schema of the stored settings of the whole report. */
const storedReport = z.object({
  organisation: z.string().optional(),
  preparedBy: z.string().optional(),
  wantedShare: z.number().optional(),
  judge: z.array(z.enum(PATH_CLASSES)).optional(),
  platformNamespaces: z.array(z.string()).optional(),
  ownerLabel: z.string().optional(),
})

/** Contents of `scope.yaml`: scopes, and the settings of the whole report that were written. */
export type DeclaredScope = {
  readonly scopes: readonly Scope[]
  readonly report: z.output<typeof storedReport>
}

/** Default wanted share. It allows up to 6 h 43 min unseen in four weeks. */
export const WANTED_SHARE = 0.99

/** Settings that apply if nothing is declared. */
export const DEFAULT_SETTINGS: ReportSettings = {
  organisation: null,
  preparedBy: null,
  wantedShare: WANTED_SHARE,
  judgedClasses: ['application'],
  platformNamespaces: [],
  ownerLabel: 'app.kubernetes.io/part-of',
}

/** Returns the settings of a report, with defaults for those that were not written. */
export function settingsOf({ judge, ...written }: DeclaredScope['report']): ReportSettings {
  return {
    organisation: written.organisation ?? DEFAULT_SETTINGS.organisation,
    preparedBy: written.preparedBy ?? DEFAULT_SETTINGS.preparedBy,
    wantedShare: written.wantedShare ?? DEFAULT_SETTINGS.wantedShare,
    judgedClasses: judge ?? DEFAULT_SETTINGS.judgedClasses,
    platformNamespaces: written.platformNamespaces ?? DEFAULT_SETTINGS.platformNamespaces,
    ownerLabel: written.ownerLabel ?? DEFAULT_SETTINGS.ownerLabel,
  }
}

/** Schema of stored scopes. */
const storedScopes = z.object({
  format: z.enum(['ciphertrail/scope/1', 'ciphertrail/scope/2']),
  report: storedReport.default({}),
  scopes: z
    .array(
      z.object({
        framework: z.string(),
        clusters: z.array(z.string()),
        namespaces: z.array(z.string()),
        labels: z.record(z.string(), z.string()),
        wantedShare: z.number().optional(),
        owner: z.string(),
        reason: z.string(),
      }),
    )
    .readonly(),
})

/** Encodes scopes as the JSON that is stored. */
export function encodeScopes({ scopes, report: ofReport }: DeclaredScope): unknown {
  return { format: 'ciphertrail/scope/2', report: ofReport, scopes }
}

/** Decodes the output of {@link encodeScopes}; undefined for anything else. */
export function decodeScopes(stored: unknown): DeclaredScope | undefined {
  const read = storedScopes.safeParse(stored).data
  return read === undefined ? undefined : { scopes: read.scopes, report: read.report }
}
