import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readConfig } from '../lib/config.ts'

test('readConfig() takes an empty variable for absent', () => {
  const names = [
    'CIPHERTRAIL_STORE',
    'CIPHERTRAIL_KEY',
    'AWS_ENDPOINT_URL_S3',
    'AWS_ENDPOINT_URL',
    'KUBECONFIG',
    'HOME',
    'USERPROFILE',
    'KUBERNETES_SERVICE_HOST',
    'KUBERNETES_SERVICE_PORT',
    'AWS_ENDPOINT_URL_EKS',
    'CIPHERTRAIL_URL',
    'CIPHERTRAIL_MAIL',
    'CIPHERTRAIL_MAIL_FROM',
    'CIPHERTRAIL_MAIL_FROM_NAME',
    'CIPHERTRAIL_CONFIGURATION_SET',
    'AWS_REGION',
    'CIPHERTRAIL_ALLOWED_NETWORKS',
    'FORCE_COLOR',
    'CIPHERTRAIL_KMS_KEY',
    'CIPHERTRAIL_LOG_NAME',
    'CIPHERTRAIL_TIME_ZONE',
    'CIPHERTRAIL_COLLECT_QUEUE',
    'CIPHERTRAIL_DELIVER_QUEUE',
    'CIPHERTRAIL_API_CLAIM',
    'PATH',
    'CIPHERTRAIL_LOG_HEAD',
    'CIPHERTRAIL_TRUST',
    'CIPHERTRAIL_TRUST_KEY',
    'CIPHERTRAIL_CREDENTIALS',
    'CIPHERTRAIL_SECRETS',
  ]
  for (const name of names) process.env[name] = ''
  const { pluginEnvironment: _, ...values } = readConfig()
  assert.deepEqual(new Set(Object.values(values)), new Set([undefined]))
  for (const name of names) process.env[name] = name
  const { pluginEnvironment, ...told } = readConfig()
  // A plugin gets what programs and clouds need, and nothing of ours.
  assert.deepEqual([pluginEnvironment['HOME'], pluginEnvironment['AWS_REGION']], ['HOME', 'AWS_REGION'])
  assert.deepEqual(
    Object.keys(pluginEnvironment).filter((name) => name.startsWith('CIPHERTRAIL_')),
    [],
  )
  assert.deepEqual(told, {
    store: 'CIPHERTRAIL_STORE',
    key: 'CIPHERTRAIL_KEY',
    s3Endpoint: 'AWS_ENDPOINT_URL_S3',
    kubeconfig: 'KUBECONFIG',
    home: 'HOME',
    serviceHost: 'KUBERNETES_SERVICE_HOST',
    servicePort: 'KUBERNETES_SERVICE_PORT',
    eksEndpoint: 'AWS_ENDPOINT_URL_EKS',
    url: 'CIPHERTRAIL_URL',
    mail: 'CIPHERTRAIL_MAIL',
    mailFrom: 'CIPHERTRAIL_MAIL_FROM',
    mailFromName: 'CIPHERTRAIL_MAIL_FROM_NAME',
    configurationSet: 'CIPHERTRAIL_CONFIGURATION_SET',
    region: 'AWS_REGION',
    allowedNetworks: 'CIPHERTRAIL_ALLOWED_NETWORKS',
    forceColor: 'FORCE_COLOR',
    kmsKey: 'CIPHERTRAIL_KMS_KEY',
    logName: 'CIPHERTRAIL_LOG_NAME',
    timeZone: 'CIPHERTRAIL_TIME_ZONE',
    collectQueue: 'CIPHERTRAIL_COLLECT_QUEUE',
    deliverQueue: 'CIPHERTRAIL_DELIVER_QUEUE',
    apiClaim: 'CIPHERTRAIL_API_CLAIM',
    searchPath: 'PATH',
    logHead: 'CIPHERTRAIL_LOG_HEAD',
    trust: 'CIPHERTRAIL_TRUST',
    trustKey: 'CIPHERTRAIL_TRUST_KEY',
    credentials: 'CIPHERTRAIL_CREDENTIALS',
    secrets: 'CIPHERTRAIL_SECRETS',
  })
})
