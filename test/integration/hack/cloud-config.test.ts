import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import { runOrFail } from '../../../hack/hypervisor/process.ts'

const scripts = fileURLToPath(new URL('../../../hack/reference-image/rootfs/usr/lib/reference', import.meta.url))

/** Runs the guest's reader of YAML by the same awk as in the guest. */
async function flatten(text: string): Promise<string[]> {
  return (await runOrFail('busybox', ['awk', '-f', join(scripts, 'flatten.awk')], { input: text }))
    .split('\n')
    .filter((line) => line !== '')
}

describe("the reference image's reader of cloud-config", () => {
  test.each([
    ['a block list', 'k:\n- a b\n- c\n', ['k/0=a b', 'k/1=c']],
    ['an indented block list', 'k:\n    - a\n    - b\n', ['k/0=a', 'k/1=b']],
    ['a flow list, quoted and not', `k: [a b, "c, d", 'e''f']\n`, ['k/0=a b', 'k/1=c, d', "k/2=e'f"]],
    ['a flow list over lines', 'k: [\n  a,\n  b\n]\nl: x\n', ['k/0=a', 'k/1=b', 'l=x']],
    ['JSON', '{"u":[{"n":"r","k":["a b"]},{"n":"s"}],"h":"x"}\n', ['u/0/n=r', 'u/0/k/0=a b', 'u/1/n=s', 'h=x']],
    ['JSON over lines', '{\n "u": [\n  {"n": "r"}\n ]\n}\n', ['u/0/n=r']],
    ['maps in a list', 'u:\n- n: r\n  k: [a]\n- n: s\n  k:\n  - b\n', ['u/0/n=r', 'u/0/k/0=a', 'u/1/n=s', 'u/1/k/0=b']],
    ['a flow map in a list', 'u:\n- {n: r, k: [a b]}\n- default\n', ['u/0/n=r', 'u/0/k/0=a b', 'u/1=default']],
    ['comments', '# x\nh: y # z\nk:\n# w\n- a#b # c\n', ['h=y', 'k/0=a#b']],
    ['an escaped line break, which must not start a line of its own', 'k: ["a\\nh=evil"]\n', ['k/0=a h=evil']],
    ['a block scalar, whose text is no structure', 'r: |\n  h: evil\n  - x\nh: y\n', ['h=y']],
    [
      'a key with options',
      'k:\n- from="10.0.0.0/8",no-pty ssh-rsa A b\n',
      ['k/0=from="10.0.0.0/8",no-pty ssh-rsa A b'],
    ],
    [
      'a network-config, whose addresses have colons',
      'ethernets:\n  eth0:\n    match:\n      macaddress: 52:54:00:00:00:01\n    addresses:\n      - 2001:db8::1/64\n    routes:\n      - to: ::/0\n        via: fe80::1\n',
      [
        'ethernets/eth0/match/macaddress=52:54:00:00:00:01',
        'ethernets/eth0/addresses/0=2001:db8::1/64',
        'ethernets/eth0/routes/0/to=::/0',
        'ethernets/eth0/routes/0/via=fe80::1',
      ],
    ],
    ['line ends of other systems', 'h: y\r\nk:\r\n- a\r\n', ['h=y', 'k/0=a']],
    ['an unfinished flow list', 'k: [a, b\n', []],
    ['empty text', '', []],
  ])('reads %s', async (_what, text, expected) => {
    expect(await flatten(text)).toEqual(expected)
  })
})

/** What the guest takes from a seed's `user-data` and `vendor-data`. */
async function cloudConfig(userData: string, vendorData: string): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'cloud-config-'))
  try {
    const paths = [userData, vendorData].map((text, index) => {
      const path = join(directory, `${index}`)
      writeFileSync(path, text)
      return path
    })
    return await runOrFail('busybox', ['sh', join(scripts, 'cloud-config'), ...paths])
  } finally {
    rmSync(directory, { recursive: true })
  }
}

describe("the reference image's choice of a cloud-config", () => {
  const vendor = '#cloud-config\nhostname: vendor\n'

  test.each([
    ['user data alone where both are', '#cloud-config\nhostname: user\n', vendor, 'hostname=user\n'],
    ['vendor data beside a script, whose lines are no configuration', '#!/bin/sh\nk: v\n', vendor, 'hostname=vendor\n'],
    ['vendor data where there is no user data', '', vendor, 'hostname=vendor\n'],
    ['nothing where vendor data is a script too', '#!/bin/sh\n', '#!/bin/sh\nk: v\n', ''],
    ['nothing of an empty seed', '', '', ''],
  ])('takes %s', async (_what, userData, vendorData, expected) => {
    expect(await cloudConfig(userData, vendorData)).toBe(expected)
  })
})
