export { advise } from './advise.ts'
export type { Advice, AdviceOptions, Advisor } from './advise.ts'
export { autosize } from './autosize.ts'
export type { Autosizer, AutosizeOptions } from './autosize.ts'
export { budgetFor, fromCores, fromLittle, fromWaiting, lockFloor, minFor, offeredLoad } from './formulas.ts'
export type { FormulaResult } from './formulas.ts'
export type { Finding, Verdict } from './findings.ts'
export { findKnee } from './knee.ts'
export type { Knee, LoadBin } from './knee.ts'
export { ThroughputProbe } from './probe.ts'
export type { Block, ProbeBounds, ProbeMove } from './probe.ts'
export {
  connectionsByAllenCunneen,
  connectionsByErlangC,
  connectionsBySquareRoot,
  erlangB,
  erlangC,
  fromAllenCunneen,
  fromErlangC,
  meanWait,
  meanWaitGeneral,
  waitsLonger,
} from './queueing.ts'
export type { WaitObjective } from './queueing.ts'
export { connectionsByReplay, replay } from './replay.ts'
export type { Trace } from './replay.ts'
export { loadBetween, size } from './size.ts'
export type { MeasuredLoad, MeasuredStats, SizeAnswer, SizeQuestion, SizeReason } from './size.ts'
export { fitUsl, fromThroughput, uslElasticity, uslFewest, uslKnee, uslPeak, uslThroughput } from './usl.ts'
export type { OperatingPoint, UslModel } from './usl.ts'
