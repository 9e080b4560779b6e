/** Uploads in parts, for objects that are too large for one request. */
import type { Readable } from 'node:stream'
import { type S3Client, S3ServiceException } from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'

/** The smallest part that S3 takes. It takes 10,000 of them, which is enough for 52 GB. */
const PART_BYTES = 5 * 1024 * 1024

/** Parts that are sent at once, each of which lies in memory. */
const AT_ONCE = 2

/**
 * Uploads a stream, and creates the object with its last request: before that nothing is there, and if the stream fails the parts are given up. False if there
 * is an object of that key. Throws the SDK's errors.
 */
export async function uploadStream(
  client: S3Client,
  { bucket, key, body }: { readonly bucket: string; readonly key: string; readonly body: Readable },
): Promise<boolean> {
  const upload = new Upload({
    client,
    params: { Bucket: bucket, Key: key, Body: body, ChecksumAlgorithm: 'SHA256', IfNoneMatch: '*' },
    partSize: PART_BYTES,
    queueSize: AT_ONCE,
  })
  try {
    await upload.done()
    return true
  } catch (error) {
    if (error instanceof S3ServiceException && error.name === 'PreconditionFailed') return false
    throw error
  }
}
