import type { DeliveryId } from '../../../lib/store/delivery-keys.ts'

/** What a test says of an event; the rest is as in the examples of AWS. */
export type EventOptions = {
  readonly tags: DeliveryId
  readonly messageId: string
  readonly to: string
  /** Of the address that bounced or complained; default: `to`. */
  readonly from?: string
  /** Of RFC 3463; default: that there is no such mailbox. */
  readonly number?: string
}

/** A notification of a bounce by SES' event publishing, as AWS' examples have it. */
export function bounceEvent(type: string, subType: string, { from, number = '5.1.1', ...options }: EventOptions) {
  return {
    eventType: 'Bounce',
    bounce: {
      feedbackId: '01000157c44f053b-61b59c11-9236-11e6-8f96-7be8aexample-000000',
      bounceType: type,
      bounceSubType: subType,
      bouncedRecipients: [
        {
          emailAddress: from ?? options.to,
          action: 'failed',
          status: number,
          diagnosticCode: `smtp; 550 ${number} <${options.to}>: no`,
        },
      ],
      timestamp: '2026-11-23T07:00:02.669Z',
      reportingMTA: 'dsn; mta.example.com',
    },
    mail: mailOf(options),
  }
}

/** A notification of a complaint, likewise; `type` null: the server did not say. */
export function complaintEvent(type: string | null, { from, ...options }: EventOptions) {
  return {
    eventType: 'Complaint',
    complaint: {
      feedbackId: '01000157c44f053b-61b59c11-9236-11e6-8f96-7be8aexample-000000',
      complaintSubType: null,
      complainedRecipients: [{ emailAddress: from ?? options.to }],
      timestamp: '2026-11-23T09:00:02.012Z',
      userAgent: 'Amazon SES Mailbox Simulator',
      ...(type === null ? {} : { complaintFeedbackType: type }),
      arrivalDate: '2026-11-23T08:00:02.012Z',
    },
    mail: mailOf(options),
  }
}

/** A notification that SES did not hand on what it took, likewise. */
export function rejectEvent(options: EventOptions) {
  return { eventType: 'Reject', reject: { reason: 'Bad content' }, mail: mailOf(options) }
}

function mailOf({ tags, messageId, to }: EventOptions) {
  return {
    timestamp: '2026-11-23T07:00:00.012Z',
    source: 'ciphertrail <ciphertrail@example.com>',
    sourceArn: 'arn:aws:ses:eu-central-1:123456789012:identity/ciphertrail@example.com',
    sendingAccountId: '123456789012',
    messageId,
    destination: [to],
    headersTruncated: false,
    headers: [
      { name: 'From', value: 'ciphertrail <ciphertrail@example.com>' },
      { name: 'To', value: to },
    ],
    commonHeaders: { from: ['ciphertrail <ciphertrail@example.com>'], to: [to], messageId, subject: 'x' },
    tags: {
      'ses:operation': ['SendEmail'],
      'ses:configuration-set': ['ciphertrail'],
      'ses:source-ip': ['192.0.2.0'],
      'ses:from-domain': ['example.com'],
      ...Object.fromEntries(Object.entries(tags).map(([name, value]) => [name, [value]])),
    },
  }
}

/** A message of SNS in a queue, as it wraps them unless the subscription says raw. */
export function enveloped(message: string) {
  return {
    Type: 'Notification',
    MessageId: '22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324',
    TopicArn: 'arn:aws:sns:eu-central-1:123456789012:feedback',
    Subject: 'Amazon SES Email Event Notification',
    Message: message,
    Timestamp: '2026-11-23T07:00:03.026Z',
    SignatureVersion: '1',
    Signature: 'EXAMPLEw6JRN...',
    SigningCertURL: 'https://sns.eu-central-1.amazonaws.com/SimpleNotificationService.pem',
    UnsubscribeURL: 'https://sns.eu-central-1.amazonaws.com/?Action=Unsubscribe',
  }
}
