import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

export type MotoServer = {
  readonly url: string
  /** What the variables of the SDK must say to reach it. */
  readonly env: Readonly<Record<string, string>>
  readonly close: () => Promise<void>
}

/** Starts moto, which test/system/run installs, on a free port. Throws where it is not installed or does not start. */
export async function startMoto(command = process.env['CIPHERTRAIL_MOTO']): Promise<MotoServer> {
  if (command === undefined) throw new Error('Cannot start moto: CIPHERTRAIL_MOTO is not set, run test/system/run')
  const child = spawn(command, ['-H', '127.0.0.1', '-p', '0'], { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = once(child, 'exit')
  let url: string | undefined
  for await (const line of createInterface(child.stderr)) {
    ;[url] = /http:\/\/127\.0\.0\.1:\d+/.exec(line) ?? []
    if (url !== undefined) break
  }
  if (url === undefined) throw new Error('Cannot start moto: it ended before it listened')
  // It writes a line for each request.
  child.stderr.resume()
  return {
    url,
    env: {
      AWS_ENDPOINT_URL_S3: url,
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    close: async () => {
      child.kill()
      await ended
    },
  }
}

/** What moto's SES took, each with its recipient, whom moto names by the envelope and by the header. */
export async function takenBySes(url: string): Promise<readonly { readonly to: string; readonly raw: string }[]> {
  const response = await fetch(`${url}/moto-api/data.json`)
  const data = (await response.json()) as { readonly ses: Readonly<Record<string, readonly unknown[]>> }
  const messages = (data.ses['RawMessage'] ?? []) as readonly { destinations: string[]; raw_data: string }[]
  return messages.flatMap(({ destinations, raw_data: raw }) => [...new Set(destinations)].map((to) => ({ to, raw })))
}
