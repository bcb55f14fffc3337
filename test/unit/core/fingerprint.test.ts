import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fingerprint } from 'millpond'

describe('a fingerprint', () => {
  it.each([
    ["SELECT * FROM users WHERE name = 'Ada' AND age > 36", 'SELECT * FROM users WHERE name = ? AND age > ?'],
    ['SELECT $1, $23 FROM t WHERE a=-1.5e-3', 'SELECT ?, ? FROM t WHERE a=-?'],
    ["SELECT 'it''s', E'it\\'s', B'01', x'ff', U&'d!0061'", 'SELECT ?, ?, ?, ?, U&?'],
    ["SELECT 'C:\\', 'second'", 'SELECT ?, ?'],
    ['SELECT $$a secret$$, $tag$ $$ secret $tag$ FROM t', 'SELECT ?, ? FROM t'],
    ['SELECT "users"."E-mail", t1.c2, a$b FROM "od""d"', 'SELECT "users"."E-mail", t1.c2, a$b FROM "od""d"'],
    ["/* traceparent='00-abc' /* nested */ */ SELECT 1 -- secret\n  FROM\tt", 'SELECT ? FROM t'],
    ['INSERT INTO t VALUES (1, 2), (3, 4),\n (5, 6)', 'INSERT INTO t VALUES (?)'],
    ['SELECT 1 WHERE id IN (1,2, 3)', 'SELECT ? WHERE id IN (?)'],
    ['SELECT 1 WHERE id IN ($1, $2)', 'SELECT ? WHERE id IN (?)'],
    ["SELECT a->>'key', b::int8, c[1], 0x1F, 1_000, .5", 'SELECT a->>?, b::int8, c[?], ?, ?, ?'],
    ["SELECT 'cut off in the mid", 'SELECT ?'],
    ['SELECT $x$cut off', 'SELECT ?'],
    ['SELECT 1 /* cut', 'SELECT ?'],
    ['', ''],
    ['SELECT a - b, a -- b', 'SELECT a - b, a'],
    ['SELECT a / b * c /**/, d', 'SELECT a / b * c , d'],
    ['SELECT a # b, `c`, "d e", \'\'', 'SELECT a # b, `c`, "d e", ?'],
    ['  SELECT\n\n1  ', 'SELECT ?'],
    ['SELECT 1e10, 1E+5, 2e-7, 1-2, 1+2, 3.25e, 4e-x', 'SELECT ?, ?, ?, ?-?, ?+?, ?, ?-x'],
    ['SELECT t.c, t .5, .x', 'SELECT t.c, t ?, .x'],
    ["SELECT n'a', N'a', b'\\', x'\\', e'\\'', E'\\'', xx'b'", 'SELECT ?, ?, ?, ?, ?, ?, xx?'],
    ["SELECT 'a''', 'b'", 'SELECT ?, ?'],
    ['SELECT "a""", "b"', 'SELECT "a""", "b"'],
    ['SELECT $, $a, $ $, $a$b$a$, $b$c$', 'SELECT $, $a, $ $, ?, ?'],
    ['SELECT $123456789', 'SELECT ?'],
    ['SELECT * FROM t WHERE a IN ( 1 , 2 ) OR b IN (3)', 'SELECT * FROM t WHERE a IN (?) OR b IN (?)'],
    ['SELECT f(1), g(1, 2), h(1, a)', 'SELECT f(?), g(?), h(?, a)'],
    ['VALUES (1) , (2),(3)', 'VALUES (?)'],
    ['/* a */ /* b */ SELECT/* c */1', 'SELECT ?'],
    ['SELECT 1 --', 'SELECT ?'],
    ['SELECT 1 /*/ still */ + 2', 'SELECT ? + ?'],
    ['SELECT été, naïve1, $é', 'SELECT été, naïve1, $é'],
    ['SELECT count(*), a*b FROM t', 'SELECT count(*), a*b FROM t'],
    ['SELECT "a 1 \'b", "c\\", 1', 'SELECT "a 1 \'b", "c\\", ?'],
    ['SELECT /* a * b */ c', 'SELECT c'],
    ['SELECT 1e,2, 9, .9, 0', 'SELECT ?,?, ?, ?, ?'],
    ['SELECT a$1, $a, $1', 'SELECT a$1, $a, ?'],
  ])('of %j in standard SQL is %j', (statement, expected) => {
    expect(fingerprint(statement)).toBe(expected)
  })

  it.each([
    ['SELECT "it\\"s", \'it\\\'s secret\' FROM `ta"ble`', 'SELECT ?, ? FROM `ta"ble`'],
    ["SELECT 1 # secret\n, _utf8'x'", 'SELECT ? , _utf8?'],
    ['SELECT /* one /* is enough */ a FROM t LIMIT 10', 'SELECT a FROM t LIMIT ?'],
    ['SELECT $1, $a$', 'SELECT $?, $a$'],
    ['SELECT "a""b", \'c\\\\\', `d\\`, e', 'SELECT ?, ?, `d\\`, e'],
    ["SELECT b'\\'', 1", 'SELECT ?, ?'],
    ['SELECT 1 -- a\n# b\n+ 2', 'SELECT ? + ?'],
  ])('of %j in MySQL is %j', (statement, expected) => {
    expect(fingerprint(statement, 'mysql')).toBe(expected)
  })

  it('is the same for all values, and shows none of them', () => {
    const value = fc.oneof(
      fc.string().map((text) => `'${text.replaceAll("'", "''")}'`),
      fc.nat().map(String),
      fc.float({ noNaN: true, noDefaultInfinity: true, min: 0 }).map(String),
      fc.string().filter((text) => !/[$\\]/.test(text)).map((text) => `$q$${text}$q$`), // prettier-ignore
    )
    fc.assert(
      fc.property(value, value, (a, b) => {
        const statement = `SELECT ${a} FROM t WHERE c = ${b} AND d IN (${a}, ${b})`
        expect(fingerprint(statement)).toBe('SELECT ? FROM t WHERE c = ? AND d IN (?)')
        // Cut anywhere, it shows no more.
        expect('SELECT ? FROM t WHERE c = ? AND d IN (?, ?)').toContain(
          fingerprint(statement.slice(0, 7 + a.length)).slice(0, 8),
        )
      }),
    )
  })

  it('reads a statement of any length in no time, and stays short', () => {
    const startedAt = performance.now()
    expect(fingerprint(`INSERT INTO t VALUES ${Array(200_000).fill("('x', 1)").join(', ')}`).length).toBeLessThan(1_001)
    expect(fingerprint(`SELECT ${'('.repeat(1e6)}`).length).toBe(1_000)
    // What is left of one that is too long is cut off: the end of the list is not looked for.
    const list = (length: number): string => `SELECT 1 WHERE a IN (${Array(length).fill('1').join(', ')}) AND b = 2`
    expect(fingerprint(list(7_000))).toHaveLength(1_000)
    expect(fingerprint(list(6_000))).toBe('SELECT ? WHERE a IN (?) AND b = ?')
    expect(performance.now() - startedAt).toBeLessThan(5_000)
  })
})
