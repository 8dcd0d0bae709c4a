export { xapiDriver } from './driver.ts'
