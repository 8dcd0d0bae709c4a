import { homedir } from 'node:os'
import { expect, test } from '@jest/globals'
import { cacheDirectory } from './directories.mjs'

test.each([
  [{}, `${homedir()}/.cache/berth`],
  [{ XDG_CACHE_HOME: '' }, `${homedir()}/.cache/berth`],
  [{ XDG_CACHE_HOME: '/var/cache/alice' }, '/var/cache/alice/berth'],
  // A relative path is to be ignored, says the XDG base directory specification.
  [{ XDG_CACHE_HOME: 'cache' }, `${homedir()}/.cache/berth`],
])('with %j the cache is %s', (environment, directory) => {
  expect(cacheDirectory(environment)).toBe(directory)
})
