import { beforeEach, expect, test } from '@jest/globals'
import { VirtualClock } from './clock.ts'
import { Settling } from './settling.ts'
import { LeaderTerm } from './term.ts'

const T = 60_000
let clock: VirtualClock
let term: LeaderTerm
let settling: Settling
beforeEach(() => {
  clock = new VirtualClock()
  term = new LeaderTerm(clock)
  term.begin(['inherited'])
  settling = new Settling(clock, term)
})
const wait = (uid = 'new') => settling.waitFor('i', uid, T)

test('an object of this term, with no call: settled', () => {
  expect(settling.settled('i', 'new', T)).toBe(true)
})

test('one that was there when the term began: an earlier leader’s call may arrive until T', () => {
  expect(wait('inherited')).toBe(T)
  clock.stall(T - 1)
  expect(settling.settled('i', 'inherited', T)).toBe(false)
  expect(wait('inherited')).toBe(1)
  clock.stall(1)
  expect(settling.settled('i', 'inherited', T)).toBe(true)
})

test('before the term has begun nothing is settled', () => {
  const early = new Settling(clock, new LeaderTerm(clock))
  clock.stall(10 * T)
  expect(early.settled('i', 'new', T)).toBe(false)
})

test('while a call is under way: not, however long', () => {
  settling.began('i')
  clock.stall(10 * T)
  expect(settling.settled('i', 'new', T)).toBe(false)
  expect(settling.settled('other', 'new', T)).toBe(true)
  settling.resolved('i')
  expect(settling.settled('i', 'new', T)).toBe(true)
})

test('a call without an answer: until T after it was given up, since it may have waited for its turn to be sent', () => {
  settling.began('i')
  clock.stall(20_000)
  settling.unresolved('i')
  expect(wait()).toBe(T)
  clock.stall(T)
  expect(wait()).toBe(0)
})

test('the answer to a later call says nothing about the earlier one', () => {
  settling.began('i')
  settling.unresolved('i')
  settling.began('i')
  settling.resolved('i')
  expect(wait()).toBe(T)
})

test('of two without an answer the later counts', () => {
  settling.began('i')
  clock.stall(10_000)
  settling.began('i')
  settling.unresolved('i')
  clock.stall(1_000)
  settling.unresolved('i')
  clock.stall(1_000)
  expect(wait()).toBe(T - 1_000)
})

test('of two under way one is answered and one is not: the careful reading', () => {
  settling.began('i')
  clock.stall(10_000)
  settling.began('i')
  settling.resolved('i')
  settling.unresolved('i')
  expect(wait()).toBe(T)
})

test('of two under way one ends unknown, then the other is answered: the careful reading', () => {
  settling.began('i')
  clock.stall(10_000)
  settling.began('i')
  settling.unresolved('i')
  settling.resolved('i')
  expect(wait()).toBe(T)
})

test('of call and term the later counts', () => {
  clock.stall(30_000)
  settling.began('i')
  settling.unresolved('i')
  expect(wait('inherited')).toBe(T)
  expect(wait('new')).toBe(T)
})

test('forgetting a call that is under way is refused', () => {
  settling.began('i')
  settling.forget('i')
  expect(settling.settled('i', 'new', T)).toBe(false)
  settling.unresolved('i')
  settling.forget('i')
  expect(settling.settled('i', 'new', T)).toBe(true)
})

test('the wall clock has no say', () => {
  settling.began('i')
  settling.unresolved('i')
  clock.jump(86_400_000)
  expect(wait()).toBe(T)
})
