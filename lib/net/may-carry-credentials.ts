/** Whether a token or a password may be sent to a URL: over TLS, or to a server on this machine. */
export function mayCarryCredentials({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)
}
