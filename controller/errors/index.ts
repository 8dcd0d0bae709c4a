export { BerthError, isBerthError, toBerthError } from './error.ts'
export { type Actor, type ErrorClass, type ErrorCode, errorTable } from './table.ts'
