import type { TSESTree } from '@typescript-eslint/utils'
import { findBelow, isFunction, methodOf, receiverOf, textOf } from '../analysis/ast.ts'
import { closingBelow } from '../analysis/closing.ts'
import { functionOf } from '../analysis/variables.ts'
import { defineRule } from '../rule.ts'

export const requireSigterm = defineRule({
  name: 'require-sigterm',
  description: 'Close pools on SIGTERM as well as on SIGINT: orchestrators send only the former',
  set: 'recommended',
  suggests: true,
  messages: {
    missing:
      'Pools are closed on SIGINT only, which is the Ctrl+C of a terminal. Docker, Kubernetes and systemd send SIGTERM: there nothing is closed. Listen to both.',
    both: 'Listen to SIGTERM too.',
  },
  create(context) {
    const { sourceCode } = context
    const interrupts: TSESTree.CallExpression[] = []
    return {
      CallExpression(node) {
        const on = receiverOf(node)
        if (on?.type !== 'Identifier' || on.name !== 'process' || !/^(on|once|addListener)$/.test(methodOf(node) ?? ''))
          return
        if (textOf(node.arguments[0]) === 'SIGINT') interrupts.push(node)
      },
      'Program:exit'(program) {
        const [first] = interrupts
        if (first === undefined) return
        const listens = findBelow(program, sourceCode, (node) => node.type === 'Literal' && node.value === 'SIGTERM')
        if (listens !== undefined) return
        for (const node of interrupts) {
          const [, listener] = node.arguments
          const fn = listener === undefined ? undefined : functionOf(listener, sourceCode)
          if (listener === undefined || !isFunction(fn) || closingBelow(fn.body, sourceCode) === undefined) continue
          const text = sourceCode.getText(listener)
          const canRepeat = listener.type === 'Identifier' && node.parent.type === 'ExpressionStatement'
          context.report({
            node,
            messageId: 'missing',
            suggest: canRepeat
              ? [
                  {
                    messageId: 'both',
                    fix: (fixer) =>
                      fixer.insertTextAfter(
                        node.parent,
                        `\n${' '.repeat(node.parent.loc.start.column)}${sourceCode.getText(node.callee)}('SIGTERM', ${text})`,
                      ),
                  },
                ]
              : [],
          })
        }
      },
    }
  },
})
