/** Worlds that are explored to their end: each to see how a few faults go together, in every order. */
import type { Configuration } from './state.ts'

const one = { vms: ['a'], slots: { s1: 'h1' } }
const twoHosts = { vms: ['a'], slots: { s1: 'h1', s2: 'h2' } }
const queue = { vms: ['a', 'b'], slots: { s1: 'h1' } }
const two = { vms: ['a', 'b'], slots: { s1: 'h1', s2: 'h1' } }
const both = { vms: ['a', 'b'], slots: { s1: 'h1', s2: 'h2' } }

const everyState = ['Running', 'Stopped', 'Suspended', 'Paused'] as const

/** Seconds together: for every run of the unit tests. */
export const small: Readonly<Record<string, Configuration>> = {
  'no faults': { ...one, faults: {} },
  'power, late calls': { ...one, faults: { power: 1, late: 1 } },
  'power, crash': { ...one, faults: { power: 1, crash: 1 } },
  'power twice, slow calls': { ...one, faults: { power: 2, slow: 1 } },
  'power twice, lost calls': { ...one, faults: { power: 2, lost: 1 } },
  'deleted and made anew, slow calls': { ...one, faults: { delete: 1, create: 1, slow: 1 } },
  'deleted and made anew, late calls': { ...one, faults: { delete: 1, create: 1, late: 1 } },
  'deleted and made anew, crash': { ...one, faults: { delete: 1, create: 1, crash: 1 } },
  'guest, reboot': { ...one, faults: { power: 1, guest: 1, reboot: 1 } },
  'guest, reasons forgotten': { ...one, faults: { power: 1, guest: 1, restart: 1 } },
  'host away': { ...one, faults: { power: 1, delete: 1, down: 1 } },
  'people at the host': { ...one, faults: { power: 1, pause: 1, save: 1, undefine: 1, remove: 1 } },
  'retained disk': { ...one, retained: ['a'], faults: { delete: 1, create: 1, slow: 1 } },
  'hard stop': { ...one, shutdownMode: 'Hard', faults: { power: 2, crash: 1 } },
  'deaf guest': { ...one, deaf: ['a'], faults: { power: 2, delete: 1 } },
  'deaf guest, soft only': { ...one, deaf: ['a'], shutdownMode: 'Soft', faults: { power: 2, delete: 1 } },
  'stale cache': { ...one, faults: { power: 2, lag: 1 } },
  'stale cache, deleted': { ...one, faults: { delete: 1, create: 1, lag: 1 } },
  'two controllers': { ...one, controllers: 2, faults: { power: 1, depose: 1, slow: 1 } },
  'two hosts': { ...twoHosts, faults: { power: 1, slow: 1 } },
  'slot occupied by an unknown machine': { ...twoHosts, unknown: 's1', faults: { power: 1, slow: 1 } },
  'queue for one slot': { ...queue, faults: { power: 1 } },
  'queue, two workers': { ...queue, workers: 2, faults: {} },
  'two slots': { ...two, faults: { power: 1 } },
  'suspended and paused': { ...one, powerStates: everyState, faults: { power: 3 } },
  'suspended, slow calls': { ...one, powerStates: ['Running', 'Suspended', 'Stopped'], faults: { power: 2, slow: 1 } },
  'suspended, crash': { ...one, powerStates: ['Running', 'Suspended'], faults: { power: 2, crash: 1 } },
  'suspended, hard stop': {
    ...one,
    powerStates: ['Running', 'Suspended', 'Stopped'],
    shutdownMode: 'Hard',
    faults: { power: 2, crash: 1 },
  },
  'suspended, people at the host': {
    ...one,
    powerStates: ['Running', 'Suspended'],
    faults: { power: 1, pause: 1, save: 1, reboot: 1 },
  },
  'restart, crash': { ...one, faults: { token: 1, crash: 1 } },
  'restart, slow calls': { ...one, faults: { token: 1, slow: 1 } },
  'restart, guest': { ...one, faults: { token: 1, guest: 1, power: 1 } },
  'restart, deaf guest': { ...one, deaf: ['a'], shutdownMode: 'Soft', faults: { token: 1, power: 1 } },
  'guest that is started again': { ...one, onGuestShutdown: 'Restart', faults: { guest: 2, crash: 1 } },
}

/** Minutes: `npm run test:explore`. */
export const large: Readonly<Record<string, Configuration>> = {
  'one, whole life': { ...one, faults: { power: 1, delete: 1, create: 1, slow: 1, crash: 1, late: 1 } },
  'one, power cycles': { ...one, faults: { power: 3, slow: 1, crash: 1, late: 1 } },
  'one, guest and host': { ...one, faults: { power: 2, guest: 1, reboot: 1, slow: 1, crash: 1, lost: 1 } },
  'one, reasons forgotten': { ...one, faults: { power: 2, guest: 1, restart: 1, slow: 1, crash: 1 } },
  'one, people at the host': {
    ...one,
    faults: { power: 2, delete: 1, pause: 1, save: 1, undefine: 1, remove: 1, slow: 1 },
  },
  'one, suspended and paused': { ...one, powerStates: everyState, faults: { power: 3, slow: 1, crash: 1, late: 1 } },
  'one, suspended, guest and host': {
    ...one,
    powerStates: ['Running', 'Suspended', 'Stopped'],
    faults: { power: 2, delete: 1, guest: 1, reboot: 1, pause: 1, slow: 1 },
  },
  'one, restarts': { ...one, faults: { token: 2, power: 1, slow: 1, crash: 1, late: 1 } },
  'one, restarts, guest and host': { ...one, faults: { token: 1, power: 1, guest: 1, reboot: 1, slow: 1, crash: 1 } },
  'one, restarts, stale cache': { ...one, faults: { token: 1, power: 1, lag: 2, slow: 1 } },
  'one, restarted when its guest shuts down': {
    ...one,
    onGuestShutdown: 'Restart',
    faults: { power: 2, guest: 2, slow: 1, crash: 1 },
  },
  'queue, suspended': { ...queue, powerStates: ['Running', 'Suspended', 'Stopped'], faults: { power: 2, slow: 1 } },
  'one, host away': { ...one, faults: { power: 1, delete: 1, create: 1, down: 1, slow: 1, crash: 1 } },
  'one, retained disk': { ...one, retained: ['a'], faults: { power: 1, delete: 1, create: 1, slow: 1, late: 1 } },
  'one, hard stop': { ...one, shutdownMode: 'Hard', faults: { power: 2, delete: 1, slow: 1, crash: 1, late: 1 } },
  'one, deaf guest': { ...one, deaf: ['a'], faults: { power: 2, delete: 1, slow: 1, crash: 1 } },
  'one, deaf guest, soft only': {
    ...one,
    deaf: ['a'],
    shutdownMode: 'Soft',
    faults: { power: 2, delete: 1, guest: 1, slow: 1, crash: 1 },
  },
  'one, two slots on two hosts': { ...twoHosts, faults: { power: 1, delete: 1, slow: 1, crash: 1, late: 1 } },
  'one, two slots on two hosts, host away': { ...twoHosts, faults: { power: 1, delete: 1, down: 2, slow: 1 } },
  'one, slot occupied by an unknown machine': {
    ...twoHosts,
    unknown: 's1',
    faults: { power: 1, delete: 1, down: 1, slow: 1, late: 1 },
  },
  'stale cache': { ...one, faults: { power: 2, delete: 1, create: 1, lag: 2 } },
  'stale cache, crash': { ...one, faults: { power: 2, lag: 2, slow: 1, crash: 1 } },
  'stale cache, guest': { ...one, faults: { power: 2, lag: 1, guest: 1, slow: 1 } },
  'stale cache, queue': { ...queue, faults: { power: 1, lag: 1, slow: 1 } },
  'queue for one slot': { ...queue, faults: { power: 2, slow: 1, late: 1 } },
  'queue, crash': { ...queue, faults: { power: 1, crash: 1, late: 1 } },
  'queue, one deleted': { ...queue, faults: { power: 1, delete: 1, slow: 1, late: 1 } },
  'queue, deleted and made anew': { ...queue, faults: { delete: 1, create: 1, slow: 1, crash: 1 } },
  'queue, host away': { ...queue, faults: { power: 1, delete: 1, down: 1, slow: 1 } },
  'queue, guest and host': { ...queue, faults: { power: 1, guest: 1, reboot: 1, slow: 1 } },
  'queue, two workers': { ...queue, workers: 2, faults: { power: 1, slow: 1 } },
  'queue, three for one slot': { vms: ['a', 'b', 'c'], slots: { s1: 'h1' }, faults: { power: 1, slow: 1 } },
  'two slots': { ...two, faults: { power: 1, slow: 1 } },
  'two hosts': { ...both, faults: { power: 1, late: 1 } },
  'two controllers': { ...queue, controllers: 2, faults: { power: 1, depose: 1, late: 1 } },
  'two controllers, one machine': { ...one, controllers: 2, faults: { power: 2, delete: 1, depose: 2, late: 1 } },
}
