import { type Env, Hono } from 'hono'
import { problemResponse } from './answer.ts'
import { NOT_FOUND } from './problem.ts'

/** Makes an application without places: what is not there is a problem document, and what an answer throws is thrown at whoever asks it. */
export function createRouter<E extends Env>(): Hono<E> {
  // By the path as it was sent, which is not decoded first.
  const app = new Hono<E>({ getPath: ({ url }) => new URL(url).pathname })
  app.notFound(() => problemResponse(NOT_FOUND))
  app.onError((thrown) => {
    throw thrown
  })
  return app
}
