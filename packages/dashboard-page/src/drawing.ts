/** Longer than this, drawing holds up whoever scrolls or types: the rest is drawn in the next frame. */
const BUDGET_MILLIS = 6

type Draw = () => void

/** What is to be drawn, in the order in which it was asked for; asked for twice, it is drawn once. */
const waiting = new Set<Draw>()
let isAsked = false

function drawSome(): void {
  isAsked = false
  const until = performance.now() + BUDGET_MILLIS
  for (const draw of waiting) {
    waiting.delete(draw)
    draw()
    if (performance.now() >= until) break
  }
  askForFrame()
}

function askForFrame(): void {
  if (isAsked || waiting.size === 0) return
  isAsked = true
  requestAnimationFrame(drawSome)
}

/** Draws in a frame to come, together with as many others as fit into it. */
export function drawSoon(draw: Draw): void {
  waiting.add(draw)
  askForFrame()
}

/** Takes it back. */
export function drawNever(draw: Draw): void {
  waiting.delete(draw)
}
