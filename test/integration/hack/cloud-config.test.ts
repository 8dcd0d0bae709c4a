import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import { runOrFail } from '../../../hack/hypervisor/process.ts'

const reader = fileURLToPath(
  new URL('../../../hack/reference-image/rootfs/usr/lib/reference/flatten.awk', import.meta.url),
)

/** Runs the guest's reader of YAML by the same awk as in the guest. */
async function flatten(text: string): Promise<string[]> {
  return (await runOrFail('busybox', ['awk', '-f', reader], { input: text })).split('\n').filter((line) => line !== '')
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
    ['line ends of other systems', 'h: y\r\nk:\r\n- a\r\n', ['h=y', 'k/0=a']],
    ['an unfinished flow list', 'k: [a, b\n', []],
    ['empty text', '', []],
  ])('reads %s', async (_what, text, expected) => {
    expect(await flatten(text)).toEqual(expected)
  })
})
