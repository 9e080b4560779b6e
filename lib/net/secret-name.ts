const SECRET = /^(arn:aws[-a-z]*:secretsmanager:[-a-z0-9]+:\d{12}:secret:)?[-\w/+=.@]{1,512}$/

/** Whether a text is a valid name or ARN of a secret. */
export function isManagedSecret(text: string): boolean {
  return SECRET.test(text)
}
