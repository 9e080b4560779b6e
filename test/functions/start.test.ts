import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setEnvironment } from '../support/process/environment.ts'

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
const STOPPED: readonly [file: string, variable: string, text: string, said: RegExp][] = [
  ['lambda', 'CIPHERTRAIL_STORE', '', /^Cannot start: CIPHERTRAIL_STORE is not set; the template sets it/],
  ['lambda', 'CIPHERTRAIL_STORE', '/data', /^Cannot use CIPHERTRAIL_STORE: it names a directory, wanted s3:/],
  ['plan', 'CIPHERTRAIL_COLLECT_QUEUE', '', /^Cannot start: CIPHERTRAIL_COLLECT_QUEUE is not set/],
  ['plan', 'CIPHERTRAIL_DELIVER_QUEUE', '', /^Cannot start: CIPHERTRAIL_DELIVER_QUEUE is not set/],
  ['plan', 'CIPHERTRAIL_DELIVER_QUEUE', 'deliver', /^Cannot use CIPHERTRAIL_DELIVER_QUEUE "deliver": wanted/],
  ['collect', 'CIPHERTRAIL_TRUST_KEY', '', /^Cannot start: CIPHERTRAIL_TRUST_KEY is not set/],
  ['collect', 'CIPHERTRAIL_ALLOWED_NETWORKS', '10/8', /^Cannot use CIPHERTRAIL_ALLOWED_NETWORKS "10\/8": wanted/],
  ['seal', 'CIPHERTRAIL_KMS_KEY', '', /^Cannot start: CIPHERTRAIL_KMS_KEY is not set/],
  ['seal', 'CIPHERTRAIL_LOG_NAME', '', /^Cannot start: CIPHERTRAIL_LOG_NAME is not set/],
  ['seal', 'CIPHERTRAIL_LOG_HEAD', '', /^Cannot start: CIPHERTRAIL_LOG_HEAD is not set/],
  ['seal', 'CIPHERTRAIL_LOG_HEAD', 'arn:aws:ssm:a', /^Cannot use CIPHERTRAIL_LOG_HEAD "arn:aws:ssm:a": wanted a file/],
  ['seal', 'CIPHERTRAIL_LOG_HEAD', '/var/head', /^Cannot use parameter "\/var\/head", .*: wanted the ARN/],
  ['deliver', 'CIPHERTRAIL_MAIL_FROM', 'ada@@example.com', /^Cannot use CIPHERTRAIL_MAIL_FROM: it is no address/],
  ['alert', 'CIPHERTRAIL_MAIL_FROM', 'ada@@example.com', /^Cannot use CIPHERTRAIL_MAIL_FROM: it is no address/],
  ['lambda', 'CIPHERTRAIL_TIME_ZONE', 'Europe/Brelin', /^Cannot use CIPHERTRAIL_TIME_ZONE "Europe\/Brelin": wanted/],
  ['query', 'CIPHERTRAIL_PACK_QUEUE', '', /^Cannot start: CIPHERTRAIL_PACK_QUEUE is not set/],
  ['query', 'CIPHERTRAIL_API_CLAIM', 'my clusters', /^Cannot use CIPHERTRAIL_API_CLAIM "my clusters": wanted/],
]

let starts = 0
/** Begins a container: evaluates the file, and what it shares with the others, anew. */
const start = async (file: string): Promise<unknown> => import(`../../functions/${file}.ts?start=${(starts += 1)}`)

test('a function starts with what the template sets, and not where that is absent or wrong', async (context) => {
  setEnvironment(context, ENVIRONMENT)
  for (const file of ['lambda', 'plan', 'collect', 'seal', 'deliver', 'alert', 'report', 'pack', 'query'])
    await start(file)
  for (const [file, variable, text, said] of STOPPED) {
    process.env[variable] = text
    await assert.rejects(start(file), { message: said }, `${file} ${variable} ${text}`)
    process.env[variable] = ENVIRONMENT[variable as keyof typeof ENVIRONMENT] ?? ''
  }
})
