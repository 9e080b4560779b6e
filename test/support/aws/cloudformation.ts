/** Reads the template that osls makes of serverless.yml, and works out its values as CloudFormation would. */
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { functionNames } from '../../../infra/package-functions.ts'
import { clockVariables } from '../process/clock.ts'
import { type Condition, conditionOf, type RequestContext } from './iam-policy.ts'

export type Resource = {
  readonly Type: string
  readonly Condition?: string
  readonly DeletionPolicy?: string
  // oxlint-disable-next-line typescript/no-explicit-any -- whatever a template may hold, read by tests that say what they want
  readonly Properties: Readonly<Record<string, any>>
}

export type Template = {
  readonly Parameters: Readonly<
    Record<string, { readonly Default: string | number; readonly Description: string; readonly Type: string }>
  >
  readonly Conditions: Readonly<Record<string, unknown>>
  readonly Mappings: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, unknown>>>>>>
  readonly Resources: Readonly<Record<string, Resource>>
}

const ROOT = join(import.meta.dirname, '../../..')

/** Packages the service with osls and gives the template. The zips are empty, since it only names them. */
export async function packagedTemplate(params: Readonly<Record<string, string>> = {}): Promise<Template> {
  const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-template-'))
  try {
    cpSync(join(ROOT, 'serverless.yml'), join(folder, 'serverless.yml'))
    cpSync(join(ROOT, 'infra/resources'), join(folder, 'infra/resources'), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
    mkdirSync(join(folder, 'dist'))
    for (const name of functionNames()) writeFileSync(join(folder, 'dist', `${name}.zip`), '')
    const given = Object.entries(params).map(([name, value]) => `--param=${name}=${value}`)
    await promisify(execFile)(
      process.execPath,
      [join(ROOT, 'node_modules/osls/bin/serverless.js'), 'package', ...given],
      {
        cwd: folder,
        env: { PATH: process.env['PATH'], HOME: folder, SLS_TELEMETRY_DISABLED: '1', ...clockVariables() },
      },
    )
    return JSON.parse(
      readFileSync(join(folder, '.serverless/cloudformation-template-update-stack.json'), 'utf8'),
    ) as Template
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const PSEUDO: Readonly<Record<string, string>> = {
  'AWS::Partition': 'aws',
  'AWS::Region': 'eu-central-1',
  'AWS::AccountId': '111122223333',
  'AWS::URLSuffix': 'amazonaws.com',
  'AWS::StackName': 'ciphertrail-prod',
}

const NOTHING = Symbol('AWS::NoValue')

/** The ARN of a resource, as far as tests need one. */
function arnOf(id: string, { Type, Properties }: Resource): string {
  const base = 'eu-central-1:111122223333'
  switch (Type) {
    case 'AWS::S3::Bucket':
      return `arn:aws:s3:::${id}`
    case 'AWS::Logs::LogGroup':
      return `arn:aws:logs:${base}:log-group:${String(Properties['LogGroupName'])}:*`
    case 'AWS::IAM::Role':
      return `arn:aws:iam::111122223333:role/${id}`
    case 'AWS::KMS::Key':
      return `arn:aws:kms:${base}:key/${id}`
    case 'AWS::Lambda::Function':
      return `arn:aws:lambda:${base}:function:${id}`
    case 'AWS::SecretsManager::Secret':
      return `arn:aws:secretsmanager:${base}:secret:${id}-AbCdEf`
    case 'AWS::CloudWatch::Alarm':
      return `arn:aws:cloudwatch:${base}:alarm:${id}`
    default:
      return `arn:aws:${(Type.split('::')[1] ?? '').toLowerCase()}:${base}:${id}`
  }
}

/**
 * The template's resources with every intrinsic worked out for these values of parameters (default: the template's own), and those whose condition does not
 * hold left out. A resource is referred to by its logical id. Throws for what it does not know, since that would be passed over else.
 */
export function resolved(
  template: Template,
  given: Readonly<Record<string, string>> = {},
): Readonly<Record<string, Resource>> {
  const { Parameters, Conditions, Mappings, Resources } = template

  function parameter(name: string): unknown {
    const { Type = 'String', Default = '' } = Parameters[name] ?? {}
    const text = String(given[name] ?? Default)
    return Type === 'CommaDelimitedList' ? text.split(',').map((part) => part.trim()) : text
  }
  const holds = (name: string): boolean => valueOf(Conditions[name]) === true

  function reference(id: string): unknown {
    if (id === 'AWS::NoValue') return NOTHING
    if (id in PSEUDO) return PSEUDO[id]
    if (id in Parameters) return parameter(id)
    const isNamedByArn = /^AWS::(SNS::Topic|SecretsManager::Secret)$/.test(Resources[id]?.Type ?? '')
    if (isNamedByArn && Resources[id] !== undefined) return arnOf(id, Resources[id])
    if (Resources[id]?.Type === 'AWS::SSM::Parameter') return valueOf(Resources[id].Properties['Name'])
    if (id in Resources) return id
    throw new Error(`Cannot refer to "${id}": the template has none such`)
  }
  function attribute(id: string, name: string): string {
    const resource = Resources[id]
    if (resource === undefined) throw new Error(`Cannot read "${name}" of "${id}": the template has none such`)
    return name === 'Arn' ? arnOf(id, resource) : `${id}.${name}`
  }
  function substituted(text: string, own: Readonly<Record<string, unknown>>): string {
    const known = text.replaceAll(/\$\{([^}!]+)\}/g, (_, name: string) => {
      if (name in own) return String(valueOf(own[name]))
      const [id = '', ...path] = name.split('.')
      return path.length === 0 ? String(reference(id)) : attribute(id, path.join('.'))
    })
    return known.replaceAll('${!', '${')
  }

  function intrinsic(name: string, value: unknown): unknown {
    const list = Array.isArray(value) ? (value as unknown[]) : []
    switch (name) {
      case 'Ref':
        return reference(String(value))
      case 'Fn::GetAtt':
        return attribute(String(list[0]), String(list[1]))
      case 'Fn::Sub':
        return typeof value === 'string'
          ? substituted(value, {})
          : substituted(String(list[0]), list[1] as Readonly<Record<string, unknown>>)
      case 'Fn::If':
        return valueOf(holds(String(list[0])) ? list[1] : list[2])
      case 'Fn::Join':
        return (valueOf(list[1]) as string[]).join(String(list[0]))
      case 'Fn::Split':
        return String(valueOf(list[1])).split(String(list[0]))
      case 'Fn::Select':
        return (valueOf(list[1]) as unknown[])[Number(list[0])]
      case 'Fn::Equals':
        return JSON.stringify(valueOf(list[0])) === JSON.stringify(valueOf(list[1]))
      case 'Fn::And':
        return list.every((one) => valueOf(one) === true)
      case 'Condition':
        return holds(String(value))
      case 'Fn::Not':
        return valueOf(list[0]) !== true
      case 'Fn::FindInMap':
        return Mappings[String(list[0])]?.[String(valueOf(list[1]))]?.[String(list[2])]
      default:
        throw new Error(`Cannot work out "${name}": tests do not know it`)
    }
  }
  function valueOf(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(valueOf).filter((one) => one !== NOTHING)
    if (typeof value !== 'object' || value === null) return value
    const [only, ...more] = Object.entries(value)
    if (only !== undefined && more.length === 0 && /^(Ref|Fn::.*)$/.test(only[0])) return intrinsic(...only)
    // Of a policy it is an object.
    if (only?.[0] === 'Condition' && typeof only[1] === 'string') return intrinsic(...only)
    const members = Object.entries(value).map(([name, member]) => [name, valueOf(member)] as const)
    return Object.fromEntries(members.filter(([, member]) => member !== NOTHING))
  }

  return Object.fromEntries(
    Object.entries(Resources)
      .filter(([, { Condition }]) => Condition === undefined || holds(Condition))
      .map(([id, resource]) => [id, { ...resource, Properties: valueOf(resource.Properties) } as Resource]),
  )
}

/** One thing that a role is allowed. */
export type Grant = {
  readonly role: string
  readonly statement: number
  readonly action: string
  readonly resources: readonly string[]
  /** What must hold besides. */
  readonly holds: (context: RequestContext) => boolean
}

/** All that the roles of the functions are allowed, a line for each action. Throws for a statement that is more than that and a known condition. */
export function grantsOf(resources: Readonly<Record<string, Resource>>): readonly Grant[] {
  return [...grantsOfRoles(resources), ...grantsOfKeys(resources)]
}

/** What the policy of a key lets a role do by itself. */
function grantsOfKeys(resources: Readonly<Record<string, Resource>>): readonly Grant[] {
  return Object.entries(resources).flatMap(([key, { Type, Properties }]) => {
    if (Type !== 'AWS::KMS::Key') return []
    const { Statement } = Properties['KeyPolicy'] as {
      Statement: readonly { Effect: string; Principal: { AWS?: string }; Action: string | readonly string[] }[]
    }
    return Statement.flatMap(({ Effect, Principal, Action }, index) => {
      const [, role] = /:role\/(\w+)$/.exec(String(Principal.AWS)) ?? []
      if (Effect !== 'Allow' || role === undefined || !Object.hasOwn(resources, role)) return []
      return ([Action].flat() as string[]).map((action) => ({
        role,
        // Behind those of the role's own policies.
        statement: 1000 + index,
        action,
        resources: [`arn:aws:kms:eu-central-1:111122223333:key/${key}`],
        holds: () => true,
      }))
    })
  })
}

function grantsOfRoles(resources: Readonly<Record<string, Resource>>): readonly Grant[] {
  return Object.entries(resources).flatMap(([role, { Type, Properties }]) => {
    if (Type !== 'AWS::IAM::Role') return []
    const policies = (Properties['Policies'] ?? []) as readonly {
      PolicyDocument: { Statement: readonly Record<string, unknown>[] }
    }[]
    if ('ManagedPolicyArns' in Properties)
      throw new Error(`Cannot judge role "${role}": it has policies from elsewhere`)
    return policies
      .flatMap(({ PolicyDocument }) => PolicyDocument.Statement)
      .flatMap((statement, index) => {
        const { Effect, Action, Resource: on, Condition: condition, ...more } = statement
        if (Effect !== 'Allow' || Object.keys(more).length > 0)
          throw new Error(`Cannot judge role "${role}": statement ${index} is more than an action and a resource`)
        const holds = conditionOf(condition as Condition | undefined, `statement ${index} of role "${role}"`)
        const granted = [on].flat() as string[]
        return ([Action].flat() as string[]).map((action) => ({
          role,
          statement: index,
          action,
          resources: granted,
          holds,
        }))
      })
  })
}
