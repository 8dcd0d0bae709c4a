import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The root of this checkout. */
export const root = fileURLToPath(new URL('../..', import.meta.url))

/** State of what runs now from this checkout; `npm run clean` removes it. */
export const runDirectory = join(root, '.run')

/**
 * What is built or fetched once a machine, each under a digest of what makes it.
 * @param {Readonly<Record<string, string | undefined>>} [environment]
 * @returns {string}
 */
export function cacheDirectory(environment = process.env) {
  const { XDG_CACHE_HOME: cache } = environment
  // The XDG base directory specification: a relative path is to be ignored.
  return join(cache?.startsWith('/') ? cache : join(homedir(), '.cache'), 'berth')
}
