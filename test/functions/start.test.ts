import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setEnvironment } from '../support/process/environment.ts'
import { errorText } from '../support/texts/matches-text.ts'

const ENVIRONMENT = {
  CIPHERTRAIL_STORE: 's3://evidence?derived=derived',
  CIPHERTRAIL_COLLECT_QUEUE: 'https://sqs.eu-central-1.amazonaws.com/111122223333/collect',
  CIPHERTRAIL_DELIVER_QUEUE: 'https://sqs.eu-central-1.amazonaws.com/111122223333/deliver',
  CIPHERTRAIL_PACK_QUEUE: 'https://sqs.eu-central-1.amazonaws.com/111122223333/pack',
  CIPHERTRAIL_KMS_KEY: 'alias/seal',
  CIPHERTRAIL_LOG_NAME: 'example.com/log',
  CIPHERTRAIL_LOG_HEAD: 'arn:aws:ssm:eu-central-1:111122223333:parameter/ciphertrail-prod/log-head',
  CIPHERTRAIL_TRUST_KEY: 'alias/trust',
  CIPHERTRAIL_MAIL_FROM: 'ciphertrail@example.com',
  AWS_REGION: 'eu-central-1',
  POWERTOOLS_METRICS_NAMESPACE: 'test',
}

/** What stops the start of a function: which variable is what, and what is said of it. */
const STOPPED: readonly [file: string, variable: string, text: string][] = [
  ['lambda', 'CIPHERTRAIL_STORE', ''],
  ['lambda', 'CIPHERTRAIL_STORE', '/data'],
  ['plan', 'CIPHERTRAIL_COLLECT_QUEUE', ''],
  ['plan', 'CIPHERTRAIL_DELIVER_QUEUE', ''],
  ['plan', 'CIPHERTRAIL_DELIVER_QUEUE', 'deliver'],
  ['collect', 'CIPHERTRAIL_TRUST_KEY', ''],
  ['collect', 'CIPHERTRAIL_ALLOWED_NETWORKS', '10/8'],
  ['seal', 'CIPHERTRAIL_KMS_KEY', ''],
  ['seal', 'CIPHERTRAIL_LOG_NAME', ''],
  ['seal', 'CIPHERTRAIL_LOG_HEAD', ''],
  ['seal', 'CIPHERTRAIL_LOG_HEAD', 'arn:aws:ssm:a'],
  ['seal', 'CIPHERTRAIL_LOG_HEAD', '/var/head'],
  ['deliver', 'CIPHERTRAIL_MAIL_FROM', 'ada@@example.com'],
  ['alert', 'CIPHERTRAIL_MAIL_FROM', 'ada@@example.com'],
  ['lambda', 'CIPHERTRAIL_TIME_ZONE', 'Europe/Brelin'],
  ['query', 'CIPHERTRAIL_PACK_QUEUE', ''],
  ['query', 'CIPHERTRAIL_API_CLAIM', 'my clusters'],
]

let starts = 0
/** Begins a container: evaluates the file, and what it shares with the others, anew. */
const start = async (file: string): Promise<unknown> => import(`../../functions/${file}.ts?start=${(starts += 1)}`)

test('a function starts with what the template sets, and not where that is absent or wrong', async (context) => {
  setEnvironment(context, ENVIRONMENT)
  for (const file of ['lambda', 'plan', 'collect', 'seal', 'deliver', 'alert', 'report', 'pack', 'query'])
    await start(file)
  for (const [file, variable, text] of STOPPED) {
    process.env[variable] = text
    await assert.rejects(start(file), errorText({}, `${file} ${variable} ${text}`))
    process.env[variable] = ENVIRONMENT[variable as keyof typeof ENVIRONMENT] ?? ''
  }
})
