import { expect, test } from '@jest/globals'
import { goProblem } from './go.mjs'

test.each(['go1.25', 'go1.25.0', 'go1.26.8', 'go1.30rc1', 'go2.0'])('%s builds the control plane', (version) => {
  expect(goProblem(version)).toBeUndefined()
})

test.each(['go1.24.9', 'go1.9', 'go0.99'])('%s is too old, and the problem names it', (version) => {
  expect(goProblem(version)).toContain(version)
})

test.each([undefined, '', 'devel'])('without a usable Go (%j) the problem names the version needed', (version) => {
  expect(goProblem(version)).toContain('Go 1.25 or newer')
})
