/** ARNs of parameters of AWS Systems Manager. Without the SDK, which is loaded only to use the parameter. */

const ARN = /^arn:aws[a-z-]*:ssm:([a-z\d-]+):\d{12}:parameter\/([\w.-]+(?:\/[\w.-]+){0,14})$/

/** The limit of AWS. */
const MAX_LENGTH = 1_011

/** The form of an ARN, for messages. */
export const PARAMETER_ARN_FORM =
  'the ARN of a parameter of AWS Systems Manager, such as arn:aws:ssm:eu-central-1:111122223333:parameter/ciphertrail/log-head'

/** The region and the name of a parameter; undefined for any other text. */
export function parseParameterArn(arn: string): { readonly region: string; readonly name: string } | undefined {
  const [, region, path] = arn.length > MAX_LENGTH ? [] : (ARN.exec(arn) ?? [])
  if (region === undefined || path === undefined) return undefined
  // A name of several levels begins with a slash, one of a single level has none.
  return { region, name: path.includes('/') ? `/${path}` : path }
}
