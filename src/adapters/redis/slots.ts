/** The table of CRC-16/XMODEM, by which Redis Cluster spreads keys (Redis Cluster Specification, "Key distribution model"). */
const CRC16 = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021
  return crc
})

const SLOTS = 16_384

/** The slot of a key: of what stands between its first braces, where something does. */
export function slotOf(key: unknown, prefix = ''): number {
  const bytes = Buffer.isBuffer(key) ? Buffer.concat([Buffer.from(prefix), key]) : Buffer.from(prefix + String(key))
  const open = bytes.indexOf('{')
  const close = open < 0 ? -1 : bytes.indexOf('}', open + 1)
  const hashed = close > open + 1 ? bytes.subarray(open + 1, close) : bytes
  let crc = 0
  for (const byte of hashed) crc = ((crc << 8) & 0xffff) ^ (CRC16[(crc >> 8) ^ byte] ?? 0)
  return crc % SLOTS
}
