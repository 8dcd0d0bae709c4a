export { ConfigError, HelpRequested, loadConfig } from './config.ts'
export type { Address, Config } from './settings.ts'
