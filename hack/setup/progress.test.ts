import { describe, expect, test } from '@jest/globals'
import { elapsed, showStep } from './progress.mjs'

test.each([
  [0, '0:00'],
  [59_999, '0:59'],
  [125_000, '2:05'],
  [3_600_000, '60:00'],
])('%d ms is %s', (milliseconds, text) => {
  expect(elapsed(milliseconds)).toBe(text)
})

describe('a step', () => {
  function record(isTTY: boolean) {
    const written: string[] = []
    return { written, out: { isTTY, columns: 40, write: (text: string) => written.push(text) } }
  }

  test('is told in plain lines where there is no terminal', async () => {
    const { written, out } = record(false)
    await showStep('control plane', async (say) => say('compiling'), out)
    const text = written.join('')
    expect(text).toMatch(/control plane {2}0:00[\s\S]*control plane {2}done in 0:00\n$/)
    expect(text).not.toContain('\x1b')
  })

  test('never writes a live line wider than the terminal', async () => {
    const { written, out } = record(true)
    await showStep('control plane with a name that is far too long', async () => undefined, out)
    expect(written[0]?.replace('\r\x1b[2K', '').length).toBeLessThan(40)
  })

  test('that fails is told as failed, and fails', async () => {
    const { written, out } = record(false)
    const failing = showStep('guest image', () => Promise.reject(new Error('disk full')), out)
    await expect(failing).rejects.toThrow('disk full')
    expect(written.join('')).toContain('guest image  failed in')
  })
})
