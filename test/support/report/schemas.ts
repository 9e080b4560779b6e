/** The published schemas of what other programs load; test/fixtures/schemas/README.md says where they are from. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { ValidateFunction } from 'ajv'
import formats from 'ajv-formats'

const read = (name: string): object =>
  JSON.parse(readFileSync(join(import.meta.dirname, `../../fixtures/schemas/${name}.json`), 'utf8')) as object

const options = { strict: false, allErrors: true } as const

/** What a schema says of a document: one line for each fault. */
const faultsBy =
  (validate: ValidateFunction) =>
  (document: unknown): readonly string[] =>
    validate(document)
      ? []
      : (validate.errors ?? []).map(
          ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
        )

const draft7 = formats.default(new Ajv(options))
const draft2020 = formats.default(new Ajv2020(options))

export const resultsFaults = faultsBy(draft7.compile(read('oscal-1.1.3-assessment-results')))
export const planFaults = faultsBy(draft7.compile(read('oscal-1.1.3-assessment-plan')))
export const ocsfFaults = faultsBy(draft2020.compile(read('ocsf-1.6.0-compliance-finding')))
