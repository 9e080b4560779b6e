/** OSCAL judged by compliance-trestle, OCSF by the schemas of two releases; `test/system/run` installs both. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { DEMO_FIXTURE } from '../../demo/fixture.ts'
import { summarise } from '../../lib/report/summary/summary.ts'
import { recordedReport } from '../support/report/recorded-report.ts'
import { INPUTS, toldBy } from '../support/report/told-documents.ts'

const trestle = process.env['CIPHERTRAIL_TRESTLE'] ?? 'trestle'
const python = process.env['CIPHERTRAIL_OCSF_PYTHON'] ?? 'python3'

const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-oscal-'))
/** trestle takes over only what lies outside of its own folder. */
const project = join(folder, 'project')
mkdirSync(project)
after(() => {
  rmSync(folder, { recursive: true })
})

const told = new Map(
  [...INPUTS, ['the-demo', await recordedReport(DEMO_FIXTURE)] as const].map(
    ([name, input]) => [name, toldBy(summarise(input)).texts] as const,
  ),
)

/** trestle starts anew for each document; `npm test` holds the others to NIST's schema. */
const ASKED = ['a-week', 'all-missing', 'empty', 'hostile-names', 'the-demo']

function run(program: string, args: readonly string[]): { readonly status: number | null; readonly said: string } {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: project, encoding: 'utf8' })
  return { status, said: `${stdout}${stderr}` }
}

/** Takes a document over into trestle's folder, as its users do. Gives what trestle says where it does not. */
function take(name: string, text: string): string | undefined {
  const file = join(folder, `${name}.json`)
  writeFileSync(file, text)
  const { status, said } = run(trestle, ['import', '-f', file, '-o', name])
  return status === 0 ? undefined : said
}

test('compliance-trestle takes over and validates the results and the plan of each report', () => {
  assert.equal(run(trestle, ['init', '--local']).status, 0)
  for (const [name, texts] of told) {
    if (!ASKED.includes(name)) continue
    assert.equal(take(name, texts['oscal.json'] ?? ''), undefined, name)
    assert.equal(take(`${name}-plan`, texts['oscal-plan.json'] ?? ''), undefined, name)
  }
  for (const model of ['assessment-results', 'assessment-plan']) {
    const { status, said } = run(trestle, ['validate', '-t', model])
    assert.equal(status, 0, said)
    for (const name of ASKED) assert.ok(said.includes(model === 'assessment-plan' ? `${name}-plan` : name), said)
  }
  const text = told.get('the-demo')?.['oscal.json'] ?? ''
  const [, uuid = ''] = /"inventory-items":\[\n\{"uuid":"([^"]+)"/.exec(text) ?? []
  for (const [what, broken] of [
    ['lacks a part', text.replaceAll('"collected":', '"gathered":')],
    ['has a property that is none', text.replace('"name":"verdict"', '"name":"a verdict"')],
    ['has the same UUID twice', text.replace(/(?<="risks":\[\n\{"uuid":")[^"]+/, uuid)],
  ] as const) {
    assert.notEqual(broken, text, what)
    const name = what.replaceAll(' ', '-')
    const isTaken = take(name, broken) === undefined
    assert.ok(!isTaken || run(trestle, ['validate', '-t', 'assessment-results', '-n', name]).status !== 0, what)
  }
})

const CHECK = `
import json, sys
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
for version in ('1.6.0', '1.8.0'):
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=version)).get_class_schema('compliance_finding')
    validator = Draft202012Validator(schema)
    for name in sys.argv[1:]:
        for index, finding in enumerate(json.load(open(name))):
            for error in validator.iter_errors(finding):
                print(version, name, index, error.json_path, error.message)
`

test('each finding of each report is a Compliance Finding by the schemas of OCSF 1.6 and 1.8', () => {
  mkdirSync(join(folder, 'ocsf'))
  const files = [...told].map(([name, texts]) => {
    const file = join(folder, 'ocsf', `${name}.json`)
    writeFileSync(file, texts['ocsf.json'] ?? '')
    return file
  })
  assert.deepEqual(run(python, ['-c', CHECK, ...files]), { status: 0, said: '' })
  const broken = join(folder, 'ocsf', 'broken.json')
  writeFileSync(broken, (told.get('the-demo')?.['ocsf.json'] ?? '').replace('"severity_id":', '"severity_uid":'))
  assert.match(run(python, ['-c', CHECK, broken]).said, /severity_uid/)
})
