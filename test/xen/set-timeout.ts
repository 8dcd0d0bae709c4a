import { jest } from '@jest/globals'

// A guest's start alone takes 30 s of the host's emulated CPU, of which a busy machine leaves a fraction.
jest.setTimeout(900_000)
