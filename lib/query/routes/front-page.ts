/** What whoever follows the link of a mail finds at the address of the service: how to get what is kept here. */
import { formResponse } from './form-page.ts'

/** Answers `/`. It says nothing that is not known to everybody, since nobody was asked who they are. */
export function frontPage(): Promise<Response> {
  return formResponse(
    200,
    'ciphertrail',
    [
      'Here it is kept which paths between services were encrypted, which were not, and what was not seen. It is shown only to who may see it.',
      'Programs read reports, paths and clusters with a token, under /v1/reports, /v1/paths and /v1/clusters.',
      'People get the report of a week by the button behind the link in their weekly mail, where its channel has one, or from whoever runs ciphertrail: ciphertrail report --week 2026-W47',
    ],
    null,
  )
}
