import { directoryObjects } from '../../../lib/store/objects/directory.ts'

/** Opens the directory store in another process of the conformance suite. */
export const openStore = directoryObjects
