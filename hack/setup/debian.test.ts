import { describe, expect, test } from '@jest/globals'
import { missingPackages } from './debian.mjs'

describe('missing Debian packages', () => {
  test('are those that dpkg does not know', () => {
    expect(missingPackages(['openssl', 'unzip'], 'openssl installed\n')).toEqual(['unzip'])
  })

  test('are also those removed with their configuration left, or half installed', () => {
    const listing = 'openssl config-files\nunzip half-configured\nqemu-utils installed\n'
    expect(missingPackages(['openssl', 'unzip', 'qemu-utils'], listing)).toEqual(['openssl', 'unzip'])
  })

  test('are named once, however often they are wanted', () => {
    expect(missingPackages(['openssl', 'openssl'], '')).toEqual(['openssl'])
  })

  test('of a package for two architectures, one that is installed is enough', () => {
    expect(missingPackages(['libc6'], 'libc6 installed\nlibc6 not-installed\n')).toEqual([])
  })
})
