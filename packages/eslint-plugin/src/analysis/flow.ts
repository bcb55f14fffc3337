// Follows one resource through a function, path by path: an abstract interpreter over the syntax tree. ESLint's own code
// paths let control leave a `try` block only before its first throwing expression and at its end, so they do not see
// `try { client = await connect(); await query(); client.release() } catch {}` lose the client. Here every expression
// that may throw does.
import type { TSESTree } from '@typescript-eslint/utils'
import type { Node, SourceCode } from '../rule.ts'
import { childrenOf, isFunction, type FunctionNode } from './ast.ts'

/** A set of states in which the resource may be; 0 where control cannot come. */
export type States = number
/** Not borrowed: not yet, or no longer because its variable was cleared. */
export const ABSENT = 1
export const HELD = 2
export const ENDED = 4
/** Somebody else's now: returned, stored, handed to a function that keeps it. */
export const GONE = 8

/** What the nodes of one function do to one resource. */
export interface Effects {
  /** What evaluating a node does, once its children are evaluated. */
  effectOf(node: Node): 'acquire' | 'try-acquire' | 'end' | 'escape' | 'clear' | 'use' | undefined
  mayThrow(node: Node): boolean
  /** How a nested function takes part: its body runs now, it carries the resource on, takes it away, or does nothing to it. */
  roleOf(fn: FunctionNode): 'inline' | 'continuation' | 'escape' | 'none'
  /** Whether a condition asks if the resource is there, if it is missing, or for a flag that goes with it. */
  testOf(node: Node): 'present' | 'missing' | 'flag' | undefined
  /** A call after which nothing runs, such as `process.exit()`. */
  isFinal(node: Node): boolean
}

export interface Exit {
  readonly kind: 'return' | 'throw' | 'implicit-throw' | 'end' | 'lost'
  readonly node: Node
  readonly states: States
}

export interface Visit {
  readonly node: Node
  readonly states: States
}

export interface Report {
  readonly exits: readonly Exit[]
  /** In which states each `end` was met. */
  readonly ends: readonly Visit[]
  readonly uses: readonly Visit[]
}

/** Follows the resource from the first statement of a body, in which it is in `initial`. */
export function follow(body: Node, initial: States, effects: Effects, sourceCode: SourceCode): Report {
  const walk = new Walk(effects, sourceCode)
  const after = walk.run(body, initial)
  if (after !== 0) walk.exits.push({ kind: 'end', node: body, states: after })
  return walk
}

interface Target {
  readonly label: string | undefined
  readonly takes: 'break' | 'both'
  broken: States
  continued: States
}

/** What leaves a `try` statement other than by its end, kept until the `finally` block has run. */
interface Pending {
  readonly throws: Exit[]
  readonly returns: Exit[]
  readonly jumps: { readonly target: Target; readonly kind: 'break' | 'continue'; readonly states: States }[]
  readonly depth: number
  readonly only: 'throws' | 'all'
}

class Walk implements Report {
  readonly exits: Exit[] = []
  readonly ends: Visit[] = []
  readonly uses: Visit[] = []
  readonly #effects: Effects
  readonly #sourceCode: SourceCode
  readonly #pending: Pending[] = []
  readonly #targets: Target[] = []

  constructor(effects: Effects, sourceCode: SourceCode) {
    this.#effects = effects
    this.#sourceCode = sourceCode
  }

  run(body: Node, states: States): States {
    return body.type === 'BlockStatement' || body.type === 'Program'
      ? this.#all(body.body, states)
      : this.#finish({ kind: 'return', node: body, states: this.#expression(body, states) })
  }

  #all(nodes: readonly Node[], states: States): States {
    for (const node of nodes) {
      if (states === 0) break
      states = this.#statement(node, states)
    }
    return states
  }

  #statement(node: Node, states: States, label?: string): States {
    if (states === 0) return 0
    switch (node.type) {
      case 'BlockStatement':
        return this.#all(node.body, states)
      case 'IfStatement':
        return this.#if(node, states)
      case 'TryStatement':
        return this.#try(node, states)
      case 'WhileStatement':
      case 'DoWhileStatement':
      case 'ForStatement':
      case 'ForInStatement':
      case 'ForOfStatement':
        return this.#loop(node, states, label)
      case 'SwitchStatement':
        return this.#switch(node, states, label)
      case 'LabeledStatement': {
        if (/^(While|DoWhile|For|ForIn|ForOf|Switch)Statement$/.test(node.body.type))
          return this.#statement(node.body, states, node.label.name)
        const target: Target = { label: node.label.name, takes: 'break', broken: 0, continued: 0 }
        return this.#within(target, () => this.#statement(node.body, states)) | target.broken
      }
      case 'ReturnStatement':
        return this.#finish({
          kind: 'return',
          node,
          states: node.argument === null ? states : this.#expression(node.argument, states),
        })
      case 'ThrowStatement':
        return this.#raise({ kind: 'throw', node, states: this.#expression(node.argument, states) })
      case 'BreakStatement':
      case 'ContinueStatement':
        return this.#jump(node, states)
      case 'FunctionDeclaration':
        return states
      default:
        return this.#expression(node, states)
    }
  }

  #if(node: TSESTree.IfStatement, states: States): States {
    const [yes, no] = this.#test(node.test, states)
    const after = this.#statement(node.consequent, yes)
    const otherwise = node.alternate === null ? no : this.#statement(node.alternate, no)
    // `if (!released) client.release()`: the flag knows what the states do not.
    if (this.#effects.testOf(node.test) === 'flag' && (after & HELD) === 0 && (yes & HELD) !== 0)
      return after | (otherwise & ~HELD)
    return after | otherwise
  }

  #test(node: Node, states: States): [yes: States, no: States] {
    if (states === 0) return [0, 0]
    if (node.type === 'UnaryExpression' && node.operator === '!') {
      const [yes, no] = this.#test(node.argument, states)
      return [no, yes]
    }
    if (node.type === 'LogicalExpression' && node.operator !== '??') {
      const [leftYes, leftNo] = this.#test(node.left, states)
      const [yes, no] = this.#test(node.right, node.operator === '&&' ? leftYes : leftNo)
      return node.operator === '&&' ? [yes, leftNo | no] : [leftYes | yes, no]
    }
    if (node.type === 'Literal') return node.value ? [states, 0] : [0, states]
    const kind = this.#effects.testOf(node)
    if (kind === 'present') return [states & ~ABSENT, states & ABSENT]
    if (kind === 'missing') return [states & ABSENT, states & ~ABSENT]
    const after = this.#expression(node, states)
    return [after, after]
  }

  #try(node: TSESTree.TryStatement, states: States): States {
    const { block, handler, finalizer } = node
    const whole = this.#collect(finalizer === null ? undefined : 'all', () => {
      if (handler === null) return this.#statement(block, states)
      const tried = this.#collect('throws', () => this.#statement(block, states))
      const caught = tried.pending.throws.reduce((sum, each) => sum | each.states, 0)
      // A block that cannot throw is caught all the same: what it calls may be harmless only to our knowledge.
      return tried.after | this.#statement(handler.body, caught)
    })
    if (finalizer === null) return whole.after
    const { throws, returns, jumps } = whole.pending
    const after = this.#statement(finalizer, whole.after)
    for (const each of throws) this.#raise({ ...each, states: this.#statement(finalizer, each.states) })
    for (const each of returns) this.#finish({ ...each, states: this.#statement(finalizer, each.states) })
    for (const each of jumps) this.#land(each.target, each.kind, this.#statement(finalizer, each.states))
    return after
  }

  #collect(only: Pending['only'] | undefined, run: () => States): { after: States; pending: Pending } {
    const pending: Pending = { throws: [], returns: [], jumps: [], depth: this.#targets.length, only: only ?? 'all' }
    if (only !== undefined) this.#pending.push(pending)
    const after = run()
    if (only !== undefined) this.#pending.pop()
    return { after, pending }
  }

  #loop(
    node:
      | TSESTree.WhileStatement
      | TSESTree.DoWhileStatement
      | TSESTree.ForStatement
      | TSESTree.ForInStatement
      | TSESTree.ForOfStatement,
    states: States,
    label: string | undefined,
  ): States {
    if (node.type === 'ForStatement' && node.init !== null) states = this.#expression(node.init, states)
    if (node.type === 'ForOfStatement' || node.type === 'ForInStatement') states = this.#expression(node.right, states)
    const target: Target = { label, takes: 'both', broken: 0, continued: 0 }
    let [entry, left] = [states, 0]
    // Each round can only add states, and there are four of them.
    for (let round = 0; round < 4; round++) {
      let yes = entry
      if (node.type === 'WhileStatement' || (node.type === 'ForStatement' && node.test !== null)) {
        const [goesOn, leaves] = this.#test(node.test as Node, entry)
        yes = goesOn
        left |= leaves
      } else if (node.type === 'ForOfStatement' || node.type === 'ForInStatement') {
        left |= entry
        if (node.type === 'ForOfStatement' && node.await) this.#raise({ kind: 'implicit-throw', node, states: entry })
      }
      let after = this.#within(target, () => this.#statement(node.body, yes)) | target.continued
      if (node.type === 'ForStatement' && node.update !== null) after = this.#expression(node.update, after)
      if (node.type === 'DoWhileStatement') {
        const [goesOn, leaves] = this.#test(node.test, after)
        after = goesOn
        left |= leaves
      }
      if ((entry | after) === entry) break
      entry |= after
    }
    return left | target.broken
  }

  #switch(node: TSESTree.SwitchStatement, states: States, label: string | undefined): States {
    const entry = this.#expression(node.discriminant, states)
    const target: Target = { label, takes: 'break', broken: 0, continued: 0 }
    let through = 0
    this.#within(target, () => {
      for (const each of node.cases) through = this.#all(each.consequent, entry | through)
      return through
    })
    const hasDefault = node.cases.some(({ test }) => test === null)
    return through | target.broken | (hasDefault ? 0 : entry)
  }

  #within(target: Target, run: () => States): States {
    this.#targets.push(target)
    const after = run()
    this.#targets.pop()
    return after
  }

  #jump(node: TSESTree.BreakStatement | TSESTree.ContinueStatement, states: States): States {
    const kind = node.type === 'BreakStatement' ? 'break' : 'continue'
    const wanted = node.label?.name
    const index = this.#targets.findLastIndex(({ label, takes }) =>
      wanted === undefined ? kind === 'break' || takes === 'both' : label === wanted,
    )
    const target = this.#targets[index]
    if (target === undefined) return 0
    const barrier = this.#pending.findLast(({ only, depth }) => only === 'all' && index < depth)
    if (barrier === undefined) this.#land(target, kind, states)
    else barrier.jumps.push({ target, kind, states })
    return 0
  }

  #land(target: Target, kind: 'break' | 'continue', states: States): void {
    if (kind === 'break') target.broken |= states
    else target.continued |= states
  }

  #raise(exit: Exit): States {
    if (exit.states !== 0) (this.#pending.at(-1)?.throws ?? this.exits).push(exit)
    return 0
  }

  #finish(exit: Exit): States {
    const barrier = this.#pending.findLast(({ only }) => only === 'all')
    if (exit.states !== 0) (barrier?.returns ?? this.exits).push(exit)
    return 0
  }

  #expression(node: Node, states: States): States {
    if (states === 0) return 0
    if (isFunction(node)) return this.#function(node, states)
    if (node.type === 'ConditionalExpression') {
      const [yes, no] = this.#test(node.test, states)
      return this.#expression(node.consequent, yes) | this.#expression(node.alternate, no)
    }
    if (node.type === 'LogicalExpression') {
      if (node.operator === '??') {
        const left = this.#expression(node.left, states)
        return left | this.#expression(node.right, left)
      }
      const [yes, no] = this.#test(node.left, states)
      return node.operator === '&&' ? no | this.#expression(node.right, yes) : yes | this.#expression(node.right, no)
    }
    for (const child of childrenOf(node, this.#sourceCode)) states = this.#expression(child, states)
    return states === 0 ? 0 : this.#apply(node, states)
  }

  #apply(node: Node, states: States): States {
    const effect = this.#effects.effectOf(node)
    if (effect === 'end') {
      this.ends.push({ node, states })
      return (states & (ABSENT | GONE)) | ((states & (HELD | ENDED)) === 0 ? 0 : ENDED)
    }
    if (effect === 'use') this.uses.push({ node, states })
    if (effect === 'escape') return (states & ABSENT) | ((states & ~ABSENT) === 0 ? 0 : GONE)
    if (effect === 'clear') return states & HELD ? GONE : ABSENT
    if (this.#effects.isFinal(node)) return 0
    if (this.#effects.mayThrow(node)) this.#raise({ kind: 'implicit-throw', node, states })
    if (effect !== 'acquire' && effect !== 'try-acquire') return states
    if (states & HELD) this.exits.push({ kind: 'lost', node, states: HELD })
    return effect === 'acquire' ? HELD : HELD | ABSENT
  }

  #function(fn: FunctionNode, states: States): States {
    const role = this.#effects.roleOf(fn)
    if (role === 'none') return states
    if (role === 'escape') return (states & ABSENT) | ((states & ~ABSENT) === 0 ? 0 : GONE)
    const inner = new Walk(this.#effects, this.#sourceCode)
    const end = inner.run(fn.body, states)
    this.ends.push(...inner.ends)
    this.uses.push(...inner.uses)
    if (role === 'inline') {
      for (const each of inner.exits) if (each.kind.endsWith('throw')) this.#raise(each)
      return end | inner.exits.reduce((sum, each) => (each.kind === 'return' ? sum | each.states : sum), 0)
    }
    // A callback that throws has no caller who could give back: only what it does in order counts.
    this.exits.push(...inner.exits.filter(({ kind }) => kind !== 'implicit-throw'))
    if (end !== 0) this.exits.push({ kind: 'end', node: fn, states: end })
    return (states & ABSENT) | GONE
  }
}
