/** The yardstick of cold-start.ts: a handler that does one S3 get by the SDK, and nothing else. */
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3'

const client = new S3Client({ forcePathStyle: true })

/** Gives the bytes of an object. */
export async function handler(event: { readonly bucket: string; readonly key: string }): Promise<number | undefined> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket: event.bucket, Key: event.key }))
  return (await Body?.transformToByteArray())?.length
}
