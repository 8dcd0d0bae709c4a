// biome-ignore lint/style/noRestrictedImports: tests alone; the clock lives where it is a port.
export { systemClock, VirtualClock } from '../../runtime/clock.ts'
