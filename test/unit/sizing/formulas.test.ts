import { describe, expect, it } from 'vitest'
import {
  budgetFor,
  connectionsByAllenCunneen,
  connectionsByErlangC,
  connectionsBySquareRoot,
  erlangB,
  erlangC,
  fitUsl,
  fromCores,
  fromWaiting,
  lockFloor,
  meanWait,
  meanWaitGeneral,
  minFor,
  offeredLoad,
  uslElasticity,
  uslKnee,
  uslPeak,
  uslThroughput,
  waitsLonger,
} from 'millpond/sizing'
import { randomOf, SERVERS } from '../../support/sizing.ts'

describe('the formulas of the guide', () => {
  it('size by cores and disks, and a quarter as the least', () => {
    expect(fromCores(4, 1).connections).toBe(9)
    expect(fromCores(4, 0).connections).toBe(8)
    expect(minFor(8)).toBe(2)
    expect(minFor(1)).toBe(1)
  })

  it('size by waiting and service: 4 cores, half waiting, are 8 and 2', () => {
    const { connections } = fromWaiting(4, 0.5, 0.5)
    expect([connections, minFor(connections)]).toEqual([8, 2])
  })

  it('have a source, limits and the numbers that went in', () => {
    for (const result of [fromCores(8), fromWaiting(4, 30, 10), lockFloor(3, 4), budgetFor(100, 4)]) {
      expect(result.source.length).toBeGreaterThan(10)
      expect(result.limits.length).toBeGreaterThan(10)
      expect(result.shown).toMatch(/\d/)
    }
  })

  it('say what no number is', () => {
    expect(() => fromCores(0)).toThrow('Expected `cores` to be a number > 0, got 0')
    expect(() => fromWaiting(4, -1, 1)).toThrow('Expected `wait` to be a number ≥ 0, got -1')
    expect(() => fromWaiting(4, 1, NaN)).toThrow('`service`')
  })
})

describe('bounds', () => {
  it('of nested leases: 3 tasks with 4 connections each need 10', () => {
    expect(lockFloor(3, 4).connections).toBe(10)
    expect(lockFloor(5, 1).connections).toBe(1)
  })

  it('of a server with so many clients', () => {
    expect(budgetFor(100, 4).connections).toBe(24)
    expect(budgetFor(100, 200).connections).toBe(0)
  })
})

describe('queueing', () => {
  it('gives the offered load by Little', () => {
    expect(offeredLoad(200, 50)).toBe(10)
  })

  it('gives the probabilities that are in the tables', () => {
    expect(erlangB(10, 8)).toBeCloseTo(0.1217, 4)
    expect(erlangC(10, 8)).toBeCloseTo(0.4092, 4)
    expect(erlangC(1, 0.5)).toBeCloseTo(0.5, 12)
    expect(erlangC(2, 1)).toBeCloseTo(1 / 3, 12)
    // M/M/1: Wq = ρ / (1 − ρ) · S
    expect(meanWait(1, 0.8, 10)).toBeCloseTo(40, 9)
    expect(waitsLonger(1, 0.8, 10, 0)).toBeCloseTo(0.8, 12)
    // Constant times of use: half the wait of exponential ones.
    expect(meanWaitGeneral(1, 0.8, 10, 1, 0)).toBeCloseTo(20, 9)
    expect([erlangC(5, 5), meanWait(5, 6, 1), waitsLonger(5, 6, 1, 9)]).toEqual([1, Infinity, 1])
    expect(erlangB(10_000, 9_900)).toBeLessThan(1)
  })

  // At most 1 % may wait longer than one time of use.
  const objective = { waitMillis: 1, share: 0.01 }
  it.each([
    [8, 12, { 0: 10, 1: 12, 2.25: 13, 9: 15, 4.5: 14 }, 15],
    [10, 14, { 0: 12, 1: 14, 2.25: 15, 9: 17, 4.5: 16 }, 18],
  ])('at a load of %i finds %i connections, as simulation does', (load, byErlang, byVariation, bySquareRoot) => {
    expect(connectionsByErlangC(load, 1, objective)).toBe(byErlang)
    expect(connectionsBySquareRoot(load)).toBe(bySquareRoot)
    for (const [cv2, connections] of Object.entries(byVariation))
      expect([cv2, connectionsByAllenCunneen(load, 1, objective, 1, Number(cv2))]).toEqual([cv2, connections])
  })

  it('needs one connection where nothing is asked for', () => {
    expect([
      connectionsByErlangC(0, 1, objective),
      connectionsByAllenCunneen(0, 1, objective, 1, 1),
      connectionsBySquareRoot(0),
    ]).toEqual([1, 1, 1])
  })
})

describe('the scalability law', () => {
  it('peaks where it must', () => {
    expect([uslPeak(SERVERS.mild), uslPeak(SERVERS.strong), uslPeak(SERVERS.flat)].map(Math.round)).toEqual([
      49, 22, 100,
    ])
    expect(uslPeak({ gamma: 1, alpha: 0.1, beta: 0 })).toBe(Infinity)
    for (const model of Object.values(SERVERS)) expect(uslElasticity(model, uslPeak(model))).toBeCloseTo(0, 2)
  })

  it('has its knee below the peak, for nearly all of its throughput', () => {
    for (const model of Object.values(SERVERS)) {
      const knee = uslKnee(model)
      expect(uslElasticity(model, knee)).toBeCloseTo(0.1, 3)
      expect(knee).toBeLessThan(uslPeak(model))
      expect(uslThroughput(model, knee) / uslThroughput(model, uslPeak(model))).toBeGreaterThan(0.95)
    }
    expect(uslKnee({ gamma: 1, alpha: 0, beta: 0 })).toBe(Infinity)
  })

  it('is found again in points with noise', () => {
    const random = randomOf(7)
    for (const model of Object.values(SERVERS)) {
      const points = [1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96].map((connections) => ({
        connections,
        throughput: uslThroughput(model, connections) * (1 + 0.02 * (random() - 0.5)),
      }))
      const fitted = fitUsl(points)
      expect(fitted).toBeDefined()
      expect(Math.abs(uslPeak(fitted ?? model) / uslPeak(model) - 1)).toBeLessThan(0.1)
    }
  })

  it('needs three sizes, and makes no sense of nonsense', () => {
    expect(
      fitUsl([
        { connections: 1, throughput: 1 },
        { connections: 2, throughput: 2 },
      ]),
    ).toBeUndefined()
    const linear = fitUsl([1, 2, 3, 4, 5].map((connections) => ({ connections, throughput: 100 * connections })))
    expect(uslPeak(linear ?? SERVERS.strong)).toBeGreaterThan(1_000)
  })
})
