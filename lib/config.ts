import { isIP } from 'node:net'
import { networkOf, networksIn } from './net/networks.ts'
import { isManagedSecret } from './net/secret-name.ts'
import { isClientId, isScope, issuerUrl } from './query/oidc/settings.ts'
import { withoutSecrets } from './text/redact.ts'
import { pagesUrl } from './deliver/send/pages-url.ts'
import { BUDGET_FORM, parseBudget } from './observed/budget.ts'
import { isOrigin } from './seal/key/key.ts'
import { isPolicy } from './seal/timestamp/settings.ts'
import { PARAMETER_ARN_FORM, parseParameterArn } from './seal/write/parameter-arn.ts'
import { StoreAddressError, parseAddress } from './store/objects/s3/address.ts'

/** What the environment says. This file is the only reader of `process.env`; everything else takes values. */
export type Config = {
  /** `CIPHERTRAIL_STORE`: where the store is, unless the command line says otherwise. */
  readonly store: string | undefined
  /** `CIPHERTRAIL_KEY`: the file of the key that signs the log, unless the command line says otherwise. */
  readonly key: string | undefined
  /** `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`: another server that speaks S3. The SDK reads all of AWS's variables itself; this one also says how to name buckets. */
  readonly s3Endpoint: string | undefined
  /** `KUBECONFIG`: one or more kubeconfig files, separated as in PATH. */
  readonly kubeconfig: string | undefined
  /** `HOME` or `USERPROFILE`: where the default kubeconfig is looked for, in `.kube/config`. */
  readonly home: string | undefined
  /** `KUBERNETES_SERVICE_HOST` and `_PORT`: set inside a pod; where the API server is. */
  readonly serviceHost: string | undefined
  readonly servicePort: string | undefined
  /** `AWS_ENDPOINT_URL_EKS`: where EKS is asked, as every SDK of AWS reads it. */
  readonly eksEndpoint: string | undefined
  /** `CIPHERTRAIL_URL`: where people reach the pages; links in mails begin with it. */
  readonly url: string | undefined
  /** `CIPHERTRAIL_MAIL`: the file with the settings of the server of mail, unless the command line says otherwise. */
  readonly mail: string | undefined
  /** `CIPHERTRAIL_MAIL_FROM` and `CIPHERTRAIL_MAIL_FROM_NAME`: whom mail of a function is from. Without the first one no function sends any. */
  readonly mailFrom: string | undefined
  readonly mailFromName: string | undefined
  /** `CIPHERTRAIL_CONFIGURATION_SET`: the configuration set of Amazon SES that mail of a function is sent with. */
  readonly configurationSet: string | undefined
  /** `AWS_REGION`: the region of a function; the SDK reads it itself. */
  readonly region: string | undefined
  /** `CIPHERTRAIL_ALLOWED_NETWORKS`: the only networks that are connected to; else all but link-local ones and metadata services. */
  readonly allowedNetworks: string | undefined
  /** `FORCE_COLOR`: colours also where no terminal is; `0` and `false` do not ask for them. NO_COLOR is stronger. */
  readonly forceColor: string | undefined
  /** `CIPHERTRAIL_KMS_KEY` and `CIPHERTRAIL_LOG_NAME`: the key in AWS KMS with which a function seals, and the name of its log. */
  readonly kmsKey: string | undefined
  readonly logName: string | undefined
  /** `CIPHERTRAIL_TIME_ZONE`: the IANA name of the zone in whose weeks a function reports. */
  readonly timeZone: string | undefined
  /** `CIPHERTRAIL_COLLECT_QUEUE`: the URL of the queue of windows to collect. */
  readonly collectQueue: string | undefined
  /** `CIPHERTRAIL_DELIVER_QUEUE`: the URL of the queue of mails to send. */
  readonly deliverQueue: string | undefined
  /** `CIPHERTRAIL_PACK_QUEUE`: the URL of the queue of packs to make. */
  readonly packQueue: string | undefined
  /** `CIPHERTRAIL_API_CLAIM`: the claim of a token that names the clusters its bearer may see. */
  readonly apiClaim: string | undefined
  /** `CIPHERTRAIL_API_ISSUER` and `_AUDIENCE`: whose tokens a function takes, and for whom, separated by commas, where API Gateway does not look at them. */
  readonly apiIssuer: string | undefined
  readonly apiAudience: string | undefined
  /** `CIPHERTRAIL_SIGN_IN_KEY`: the secret that seals the sessions of the pages of a function; absent: it has no pages. */
  readonly signInKey: string | undefined
  /** `CIPHERTRAIL_SIGN_IN_CLIENT`, `_SCOPE` and `_SECRET`: the client of the issuer at which people sign in, the scopes, and the secret that holds its secret. */
  readonly signInClient: string | undefined
  readonly signInScope: string | undefined
  readonly signInSecret: string | undefined
  /** `PATH`: where tshark is looked for. */
  readonly searchPath: string | undefined
  /** `CIPHERTRAIL_LOG_HEAD`: the file, or the ARN of the parameter of AWS Systems Manager, that remembers the head of the log that was signed last; else a file beside the key file. */
  readonly logHead: string | undefined
  /** `CIPHERTRAIL_TSA`: the address of the time-stamping authority that is asked, unless the command line says otherwise. Without it none is. */
  readonly tsa: string | undefined
  /** `CIPHERTRAIL_TSA_HTTP`: `allow` where that address may begin with http. */
  readonly tsaHttp: string | undefined
  /** `CIPHERTRAIL_TSA_POLICY`: the policy under which time stamps are wanted, an object identifier. */
  readonly tsaPolicy: string | undefined
  /** `CIPHERTRAIL_TSA_CA`: the certificates of the authority, as a file of PEM or as PEM itself. */
  readonly tsaCertificates: string | undefined
  /** `CIPHERTRAIL_TRUST`: the file that vouches for the ways into clusters; else it lies beside the store. */
  readonly trust: string | undefined
  /** `CIPHERTRAIL_TRUST_KEY`: the key in AWS KMS that vouches for them instead, which only operators may use. */
  readonly trustKey: string | undefined
  /** `CIPHERTRAIL_CREDENTIALS`: the only folders in which credentials of clusters are read, separated as in PATH. */
  readonly credentials: string | undefined
  /** `CIPHERTRAIL_SECRETS`: what the names of the only secrets begin with that are read for clusters, parted by commas. */
  readonly secrets: string | undefined
  /** `CIPHERTRAIL_BUDGET`: how much one window of one cluster may hold, where that is not as by default: see lib/observed/budget.ts. */
  readonly budget: string | undefined
  /** What a credential plugin of a kubeconfig gets of the environment: what programs need, and what the plugins of clouds read. */
  readonly pluginEnvironment: Readonly<Record<string, string>>
}

/** Never what is ours: CIPHERTRAIL_KEY and the like tell where keys are; nor what changes how programs run, as NODE_OPTIONS and LD_PRELOAD do. */
const PLUGIN_VARIABLES =
  /^(PATH|HOME|USER|LOGNAME|USERPROFILE|APPDATA|SYSTEMROOT|TMPDIR|TEMP|LANG|LC_ALL|TZ|SSL_CERT_FILE|SSL_CERT_DIR|HTTPS?_PROXY|NO_PROXY|https?_proxy|no_proxy|USE_GKE_GCLOUD_AUTH_PLUGIN|(AWS|CLOUDSDK|GOOGLE|AZURE|AAD|XDG)_[A-Z0-9_]+)$/

/** A variable of the environment that cannot be used. One line, without what may be a credential. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** How a variable is read that must have some form. */
type Form = {
  /** In words that follow "wanted". */
  readonly wanted: string
  readonly accepts: (text: string) => boolean
}

const KMS_KEY: Form = {
  wanted: 'a key in AWS KMS by its ARN, such as arn:aws:kms:eu-central-1:111122223333:key/<id>, its id or its alias',
  accepts: (text) =>
    /^(arn:aws[a-z-]*:kms:[a-z\d-]+:\d{12}:(key\/[A-Za-z\d-]+|alias\/[\w/-]+)|alias\/[\w/-]+|[A-Za-z\d-]{1,256})$/.test(
      text,
    ),
}

const QUEUE: Form = {
  wanted: 'the URL of a queue, such as https://sqs.eu-central-1.amazonaws.com/111122223333/name',
  accepts: (text) => isWebAddress(text) && new URL(text).pathname !== '/',
}

const MANAGED_SECRET: Form = { wanted: 'a secret of AWS Secrets Manager, by its ARN or name', accepts: isManagedSecret }

const ENDPOINT: Form = { wanted: 'the URL of a server, such as https://s3.example.com', accepts: isWebAddress }

/** The variables that have one. All others are names of files and folders, which are wrong only where nothing is there. */
const FORMS: Readonly<Record<string, Form>> = {
  AWS_ENDPOINT_URL: ENDPOINT,
  AWS_ENDPOINT_URL_S3: ENDPOINT,
  AWS_ENDPOINT_URL_EKS: ENDPOINT,
  AWS_REGION: { wanted: 'a region, such as eu-central-1', accepts: (text) => /^[a-z\d-]{1,63}$/i.test(text) },
  KUBERNETES_SERVICE_HOST: {
    wanted: 'the address or the name of the API server',
    accepts: (text) => isIP(text) !== 0 || /^[a-z\d]([a-z\d.-]{0,251}[a-z\d])?$/i.test(text),
  },
  KUBERNETES_SERVICE_PORT: {
    wanted: 'a port from 1 to 65535',
    accepts: (text) => /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535,
  },
  CIPHERTRAIL_ALLOWED_NETWORKS: {
    wanted: 'networks such as 10.0.0.0/8, fd00::/8',
    accepts: (text) => networksIn(text).length > 0 && networksIn(text).every((one) => networkOf(one) !== undefined),
  },
  CIPHERTRAIL_API_CLAIM: {
    wanted: 'the name of a claim, such as ciphertrail_clusters',
    accepts: (text) => /^[\x21-\x7e]{1,255}$/.test(text),
  },
  CIPHERTRAIL_API_ISSUER: {
    wanted: 'the URL of an issuer, such as https://login.example.com',
    accepts: (text) => issuerUrl(text) !== undefined,
  },
  CIPHERTRAIL_SIGN_IN_KEY: MANAGED_SECRET,
  CIPHERTRAIL_SIGN_IN_SECRET: MANAGED_SECRET,
  CIPHERTRAIL_SIGN_IN_CLIENT: { wanted: 'the id that the issuer gave this client', accepts: isClientId },
  CIPHERTRAIL_SIGN_IN_SCOPE: { wanted: 'scopes separated by spaces, "openid" among them', accepts: isScope },
  CIPHERTRAIL_BUDGET: { wanted: BUDGET_FORM, accepts: (text) => parseBudget(text) !== undefined },
  CIPHERTRAIL_COLLECT_QUEUE: QUEUE,
  CIPHERTRAIL_DELIVER_QUEUE: QUEUE,
  CIPHERTRAIL_PACK_QUEUE: QUEUE,
  CIPHERTRAIL_KMS_KEY: KMS_KEY,
  CIPHERTRAIL_LOG_HEAD: {
    wanted: `a file outside of the store, or ${PARAMETER_ARN_FORM}`,
    accepts: (text) => !text.startsWith('arn:') || parseParameterArn(text) !== undefined,
  },
  CIPHERTRAIL_LOG_NAME: { wanted: 'an address without "https://", such as example.com/ciphertrail', accepts: isOrigin },
  CIPHERTRAIL_SECRETS: {
    wanted: 'ARNs of secrets, or what their names begin with, parted by commas, such as ciphertrail/',
    accepts: (text) => text.split(/[\s,]+/).every((prefix) => /^[\w/+=.@:-]*$/.test(prefix)),
  },
  CIPHERTRAIL_TIME_ZONE: { wanted: 'the IANA name of a time zone, such as Europe/Berlin or UTC', accepts: isTimeZone },
  CIPHERTRAIL_TRUST_KEY: KMS_KEY,
  CIPHERTRAIL_TSA: {
    wanted: 'the address of a time-stamping authority, such as https://tsa.example.com/tsr',
    accepts: isWebAddress,
  },
  CIPHERTRAIL_TSA_HTTP: { wanted: 'allow, or nothing', accepts: (text) => text === 'allow' },
  CIPHERTRAIL_TSA_POLICY: {
    wanted: 'an object identifier, such as 1.2.840.113549.1.9.16.3.4',
    accepts: isPolicy,
  },
  CIPHERTRAIL_URL: {
    wanted: 'the address of the pages, such as https://ciphertrail.example.com',
    accepts: (text) => pagesUrl(text) !== undefined,
  },
}

/**
 * Reads the environment. An empty variable counts as absent. Each is looked at here, at the start: what is wrong would else be said by whatever uses it
 * first, of one cluster or message, and maybe at night. Whom mail is from is read by `mailByEnvironment`, since it names more than one.
 *
 * @throws ConfigError for the first variable that cannot be used
 */
export function readConfig(): Config {
  const endpoint = read('AWS_ENDPOINT_URL')
  return {
    store: readStore(),
    key: read('CIPHERTRAIL_KEY'),
    s3Endpoint: read('AWS_ENDPOINT_URL_S3') ?? endpoint,
    kubeconfig: read('KUBECONFIG'),
    home: read('HOME') ?? read('USERPROFILE'),
    serviceHost: read('KUBERNETES_SERVICE_HOST'),
    servicePort: read('KUBERNETES_SERVICE_PORT'),
    eksEndpoint: read('AWS_ENDPOINT_URL_EKS'),
    url: read('CIPHERTRAIL_URL'),
    mail: read('CIPHERTRAIL_MAIL'),
    mailFrom: read('CIPHERTRAIL_MAIL_FROM'),
    mailFromName: read('CIPHERTRAIL_MAIL_FROM_NAME'),
    configurationSet: read('CIPHERTRAIL_CONFIGURATION_SET'),
    region: read('AWS_REGION'),
    allowedNetworks: read('CIPHERTRAIL_ALLOWED_NETWORKS'),
    forceColor: read('FORCE_COLOR'),
    kmsKey: read('CIPHERTRAIL_KMS_KEY'),
    logName: read('CIPHERTRAIL_LOG_NAME'),
    timeZone: read('CIPHERTRAIL_TIME_ZONE'),
    collectQueue: read('CIPHERTRAIL_COLLECT_QUEUE'),
    deliverQueue: read('CIPHERTRAIL_DELIVER_QUEUE'),
    packQueue: read('CIPHERTRAIL_PACK_QUEUE'),
    apiClaim: read('CIPHERTRAIL_API_CLAIM'),
    apiIssuer: read('CIPHERTRAIL_API_ISSUER'),
    apiAudience: read('CIPHERTRAIL_API_AUDIENCE'),
    signInKey: read('CIPHERTRAIL_SIGN_IN_KEY'),
    signInClient: read('CIPHERTRAIL_SIGN_IN_CLIENT'),
    signInScope: read('CIPHERTRAIL_SIGN_IN_SCOPE'),
    signInSecret: read('CIPHERTRAIL_SIGN_IN_SECRET'),
    searchPath: read('PATH'),
    logHead: read('CIPHERTRAIL_LOG_HEAD'),
    tsa: read('CIPHERTRAIL_TSA'),
    tsaHttp: read('CIPHERTRAIL_TSA_HTTP'),
    tsaPolicy: read('CIPHERTRAIL_TSA_POLICY'),
    tsaCertificates: read('CIPHERTRAIL_TSA_CA'),
    trust: read('CIPHERTRAIL_TRUST'),
    trustKey: read('CIPHERTRAIL_TRUST_KEY'),
    credentials: read('CIPHERTRAIL_CREDENTIALS'),
    secrets: read('CIPHERTRAIL_SECRETS'),
    budget: read('CIPHERTRAIL_BUDGET'),
    pluginEnvironment: Object.fromEntries(
      Object.entries(process.env).flatMap(([name, value]) =>
        value !== undefined && PLUGIN_VARIABLES.test(name) ? [[name, value]] : [],
      ),
    ),
  }
}

function read(name: string): string | undefined {
  const value = process.env[name]
  if (value === undefined || value === '') return undefined
  const form = FORMS[name]
  if (form === undefined || form.accepts(value)) return value
  throw new ConfigError(
    `Cannot use ${name} "${withoutSecrets(value, [])}": wanted ${form.wanted}; correct it, or take it out of the environment`,
  )
}

/** A directory, or an address of S3. */
function readStore(): string | undefined {
  const text = read('CIPHERTRAIL_STORE')
  try {
    if (text !== undefined) parseAddress(text, 'CIPHERTRAIL_STORE')
  } catch (error) {
    throw error instanceof StoreAddressError ? new ConfigError(error.message) : error
  }
  return text
}

function isWebAddress(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === ''
}

function isTimeZone(text: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}
