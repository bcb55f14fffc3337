import type { TSESTree } from '@typescript-eslint/utils'
import { findBelow, functionAround, methodOf, numberOf, parentOf, textOf } from '../analysis/ast.ts'
import { closingBelow, isClosing } from '../analysis/closing.ts'
import { creationOf } from '../analysis/makers.ts'
import { defineRule, type Node } from '../rule.ts'

export const noExitBeforeClose = defineRule({
  name: 'no-exit-before-close',
  description: 'Wait until pools are closed before process.exit(): it ends what is under way',
  set: 'recommended',
  messages: {
    notAwaited:
      '`process.exit()` does not wait for `{{close}}`, which is still under way: what runs on borrowed connections is cut off in the middle. Await it first.',
    notClosed:
      '`process.exit()` with a pool open cuts off what runs on its connections, and the server finds out later. Close it first, and await that, or let the process end by itself.',
  },
  create(context) {
    const { sourceCode } = context
    const exits: TSESTree.CallExpression[] = []
    let hasPool = false
    const see = (node: Node): void => {
      hasPool ||= creationOf(node, sourceCode) !== undefined
    }
    return {
      NewExpression: see,
      CallExpression(node) {
        see(node)
        if (sourceCode.getText(node.callee) === 'process.exit') exits.push(node)
      },
      'Program:exit'() {
        if (!hasPool) return
        for (const exit of exits) {
          const fn = functionAround(exit)
          const scope = fn?.body ?? sourceCode.ast
          if (follows(exit)) continue
          const before = findBelow(
            scope,
            sourceCode,
            (node) => isClosing(node) && node.range[1] <= exit.range[0],
            false,
          )
          if (before !== undefined) {
            if (!isWaitedFor(before)) {
              const close = sourceCode.getText(before)
              context.report({ node: exit, messageId: 'notAwaited', data: { close } })
            }
            continue
          }
          const awaited = findBelow(
            scope,
            sourceCode,
            (node) =>
              node.type === 'AwaitExpression' &&
              node.range[1] <= exit.range[0] &&
              closingBelow(node, sourceCode) !== undefined,
          )
          // A program that failed to start, or met what it did not expect, ends as it is.
          if (awaited === undefined && !(isFailure(exit) && !inSignalHandler(exit)))
            context.report({ node: exit, messageId: 'notClosed' })
        }
      },
    }

    /** `pool.end(() => process.exit())`, `close().then(() => process.exit())`, `.finally(…)`. */
    function follows(exit: Node): boolean {
      for (let fn = functionAround(exit); fn !== undefined; fn = functionAround(fn)) {
        const call = fn.parent
        if (call.type !== 'CallExpression') continue
        if (isClosing(call)) return true
        if (/^(then|finally|catch)$/.test(methodOf(call) ?? '') && closingBelow(call.callee, sourceCode) !== undefined)
          return true
      }
      return false
    }
  },
})

/** Awaited, returned, chained, or told to a callback. */
function isWaitedFor(close: Node): boolean {
  for (let node: Node | undefined = parentOf(close); node !== undefined; node = parentOf(node)) {
    if (node.type === 'AwaitExpression' || node.type === 'ReturnStatement') return true
    if (node.type === 'ExpressionStatement' || node.type === 'BlockStatement') return false
  }
  return false
}

const isFailure = (exit: TSESTree.CallExpression): boolean => {
  const [code] = exit.arguments
  return code !== undefined && numberOf(code) !== 0
}

function inSignalHandler(node: Node): boolean {
  for (let fn = functionAround(node); fn !== undefined; fn = functionAround(fn)) {
    const call = fn.parent
    if (call.type === 'CallExpression' && /^SIG/.test(textOf(call.arguments[0]) ?? '')) return true
  }
  return false
}
