export { libvirtDriver } from './driver.ts'
