import { jest } from '@jest/globals'

// A guest boots under software emulation, maybe on two busy cores: a test that waits for one may take minutes.
jest.setTimeout(300_000)
