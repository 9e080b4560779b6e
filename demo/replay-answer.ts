/** An answer as the Kubernetes API gives it: a status and a JSON body. */
export type ReplayAnswer = { readonly status: number; readonly body: string }
