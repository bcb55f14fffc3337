import type { FormulaResult } from './formulas.ts'

/** How much a server gets done with so many connections at work. */
export interface OperatingPoint {
  /** Connections at work. */
  readonly connections: number
  /** Completions per second. */
  readonly throughput: number
  /** How far the point is to be trusted: the number of completions behind it. @defaultValue 1 */
  readonly weight?: number
}

/**
 * Gunther's Universal Scalability Law: `X(N) = γN / (1 + α(N − 1) + βN(N − 1))`. α is what has to be done one at a time
 * (contention), β what each has to agree on with every other (coherency): with it, throughput falls beyond a peak.
 *
 * @see Gunther, "A General Theory of Computational Scalability Based on Rational Functions", arXiv:0808.1431
 */
export interface UslModel {
  /** Completions per second with one connection. */
  readonly gamma: number
  readonly alpha: number
  readonly beta: number
}

export function uslThroughput({ gamma, alpha, beta }: UslModel, connections: number): number {
  return (gamma * connections) / (1 + alpha * (connections - 1) + beta * connections * (connections - 1))
}

/** Where throughput is highest: `N* = √((1 − α) / β)`; `Infinity` where it never falls. */
export function uslPeak({ alpha, beta }: UslModel): number {
  return beta <= 0 ? Infinity : Math.max(1, Math.sqrt(Math.max(0, 1 - alpha) / beta))
}

/** By how many percent throughput grows for one percent more connections: `dlnX / dlnN`. 1 linear, 0 at the peak. */
export function uslElasticity({ alpha, beta }: UslModel, connections: number): number {
  const n = connections
  const denominator = 1 + alpha * (n - 1) + beta * n * (n - 1)
  return 1 - (n * (alpha + beta * (2 * n - 1))) / denominator
}

/** Ten percent more connections must bring one percent more throughput, or they are not worth having. */
export const WORTHWHILE_ELASTICITY = 0.1

/**
 * The knee: the fewest connections at which more of them bring less than `elasticity` says. Somewhat below the peak, for
 * nearly all of its throughput.
 */
export function uslKnee(model: UslModel, elasticity = WORTHWHILE_ELASTICITY, most = 10_000): number {
  let [low, high] = [1, most]
  if (uslElasticity(model, most) > elasticity) return Infinity
  while (high - low > 1e-3) {
    const middle = (low + high) / 2
    if (uslElasticity(model, middle) > elasticity) low = middle
    else high = middle
  }
  return high
}

/**
 * The fewest connections with which a server of this law gets `share` of the most done that it can within `most`
 * connections.
 */
export function uslFewest(model: UslModel, share: number, most: number): number {
  const peak = Math.min(uslPeak(model), most)
  const enough = share * uslThroughput(model, peak)
  let [low, high] = [0, peak]
  while (high - low > 1e-3) {
    const middle = (low + high) / 2
    if (uslThroughput(model, middle) < enough) low = middle
    else high = middle
  }
  return Math.max(1, high)
}

/**
 * Fits the law to measured points: `N / X` is linear in `N − 1` and `N(N − 1)`, so three sums of squares do; a negative α or
 * β, which means nothing, is left out of the model. It needs at least three different sizes, and says nothing of sizes
 * beyond those it has seen.
 *
 * @returns nothing where there are too few points
 */
export function fitUsl(points: readonly OperatingPoint[]): UslModel | undefined {
  const usable = points.filter(({ connections, throughput }) => connections >= 1 && throughput > 0)
  if (new Set(usable.map(({ connections }) => connections)).size < 3) return undefined
  const columns: readonly ((n: number) => number)[] = [() => 1, (n) => n - 1, (n) => n * (n - 1)]
  const models = [[0, 1, 2], [0, 1], [0, 2], [0]].flatMap((used) => {
    const solved = leastSquares(
      usable,
      used.map((index) => columns[index] as (n: number) => number),
    )
    if (solved === undefined || solved.coefficients.some((value) => value < 0)) return []
    const [base = 1, a = 0, b = 0] = [0, 1, 2].map((index) => solved.coefficients[used.indexOf(index)] ?? 0)
    return base <= 0 ? [] : [{ error: solved.error, model: { gamma: 1 / base, alpha: a / base, beta: b / base } }]
  })
  return models.sort((one, other) => one.error - other.error)[0]?.model
}

/** As much as can be told apart: what is within 3 % of the most that was seen is as good. */
const ENOUGH = 0.97

/**
 * The fewest connections with which a server gets 97 % of the most done that it does within the sizes that were tried, by the law
 * fitted to what was measured.
 *
 * @param points - of at least three sizes, for the whole server
 * @throws {RangeError} where there are fewer, or no throughput
 */
export function fromThroughput(points: readonly OperatingPoint[]): FormulaResult {
  const model = fitUsl(points)
  if (model === undefined)
    throw new RangeError(
      `Expected \`throughput\` to have at least three sizes ≥ 1 with a throughput > 0, got ${points.length} points`,
    )
  const most = Math.max(...points.map(({ connections }) => connections))
  const { gamma, alpha, beta } = model
  return {
    connections: Math.max(1, Math.ceil(uslFewest(model, ENOUGH, most) - 1e-2)),
    shown: `X(N) = ${digits(gamma)} N / (1 + ${digits(alpha)} (N − 1) + ${digits(beta)} N (N − 1)), 97 % of the most up to ${most}`,
    source: 'Gunther, Universal Scalability Law, arXiv:0808.1431',
    limits:
      'only sizes between those that were tried, the same work, and nobody else on the server; for all clients together',
  }
}

const digits = (value: number): string => String(Number(value.toPrecision(3)))

/** Solves the normal equations of a small linear regression of `N / X`, each point weighted by what it is worth in X. */
function leastSquares(
  points: readonly OperatingPoint[],
  columns: readonly ((n: number) => number)[],
): { coefficients: number[]; error: number } | undefined {
  const size = columns.length
  const matrix = Array.from({ length: size }, () => new Array<number>(size + 1).fill(0))
  const rows = points.map(({ connections, throughput, weight = 1 }) => {
    const target = connections / throughput
    // Relative errors count, or the largest sizes alone would decide.
    return { row: columns.map((column) => column(connections)), target, weight: weight / (target * target) }
  })
  for (const { row, target, weight } of rows) {
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) at(matrix, i)[j] = (at(matrix, i)[j] ?? 0) + weight * (row[i] ?? 0) * (row[j] ?? 0)
      at(matrix, i)[size] = (at(matrix, i)[size] ?? 0) + weight * (row[i] ?? 0) * target
    }
  }
  const coefficients = solve(matrix)
  if (coefficients === undefined) return undefined
  const error = rows.reduce((sum, { row, target, weight }) => {
    const fitted = row.reduce((total, value, index) => total + value * (coefficients[index] ?? 0), 0)
    return sum + weight * (fitted - target) ** 2
  }, 0)
  return { coefficients, error }
}

function at(matrix: readonly number[][], index: number): number[] {
  return matrix[index] as number[]
}

/** Gauss' elimination with pivots; nothing where the equations do not determine the answer. */
function solve(matrix: number[][]): number[] | undefined {
  const size = matrix.length
  for (let column = 0; column < size; column++) {
    let pivot = column
    for (let row = column + 1; row < size; row++)
      if (Math.abs(at(matrix, row)[column] ?? 0) > Math.abs(at(matrix, pivot)[column] ?? 0)) pivot = row
    const [top, other] = [at(matrix, pivot), at(matrix, column)]
    matrix[column] = top
    if (pivot !== column) matrix[pivot] = other
    const head = top[column] ?? 0
    if (Math.abs(head) < 1e-12 * Math.max(...top.map(Math.abs), 1e-300)) return undefined
    for (let row = 0; row < size; row++) {
      if (row === column) continue
      const factor = (at(matrix, row)[column] ?? 0) / head
      for (let k = column; k <= size; k++) at(matrix, row)[k] = (at(matrix, row)[k] ?? 0) - factor * (top[k] ?? 0)
    }
  }
  return matrix.map((row, index) => (row[size] ?? 0) / (row[index] ?? 1))
}
