/** Calls handlers as Lambda does, and reads what they write to the log. */
import type { TestContext } from 'node:test'
import type { Context } from 'aws-lambda'

/** The context of an event, with so much time left. */
export function contextOf(leftMs = 300_000): Context {
  const end = performance.now() + leftMs
  return {
    callbackWaitsForEmptyEventLoop: false,
    functionName: 'ciphertrail-test',
    functionVersion: '1',
    invokedFunctionArn: 'arn:aws:lambda:eu-central-1:111122223333:function:ciphertrail-test',
    memoryLimitInMB: '512',
    awsRequestId: '0d8a7c1e-0000-4000-8000-000000000001',
    logGroupName: '/aws/lambda/ciphertrail-test',
    logStreamName: 'stream',
    getRemainingTimeInMillis: () => end - performance.now(),
    done: () => {},
    fail: () => {},
    succeed: () => {},
  }
}

/** An event of a queue with these messages, named `m0`, `m1` and so on. */
export function batchOf(...messages: readonly unknown[]): unknown {
  return {
    Records: messages.map((message, index) => ({
      messageId: `m${index}`,
      body: typeof message === 'string' ? message : JSON.stringify(message),
      eventSource: 'aws:sqs',
    })),
  }
}

/** Whatever is written to standard output and error from now to the end of the test, by lines that are JSON. */
export function capturedLog(t: TestContext): {
  readonly lines: () => readonly Record<string, unknown>[]
  readonly text: () => string
} {
  let text = ''
  for (const stream of [process.stdout, process.stderr]) {
    const write = stream.write.bind(stream)
    // What is no text is the test runner's own.
    t.mock.method(stream, 'write', (chunk: string | Uint8Array) => {
      if (typeof chunk !== 'string') return write(chunk)
      text += chunk
      return true
    })
  }
  return {
    text: () => text,
    lines: () =>
      text
        .split('\n')
        .filter((line) => line.startsWith('{"'))
        .map((line) => JSON.parse(line) as Record<string, unknown>),
  }
}

/** The event of a GET request as API Gateway hands it over (HTTP API, payload 2.0), after its authoriser let in somebody whom IAM knows, or with a token. */
export function requestOf(
  address: string,
  authorizer: unknown = { iam: { userArn: 'arn:aws:iam::111122223333:user/auditor' } },
): unknown {
  const { pathname, searchParams } = new URL(address, 'https://api.example')
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath: pathname,
    rawQueryString: searchParams.toString(),
    headers: { accept: '*/*', host: 'api.example' },
    requestContext: { domainName: 'api.example', http: { method: 'GET', path: pathname }, authorizer },
    isBase64Encoded: false,
  }
}
