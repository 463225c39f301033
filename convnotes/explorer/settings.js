// What can be set: each variant's knobs, and settings that are always within their ranges.

import VARIANTS from './variants.json' with { type: 'json' }
import { divisors } from './geometry.js'

export const KNOBS = VARIANTS.knobs
export const clamp = (value, low, high) => Math.max(low, Math.min(high, value))

export const most = (variant, name) => VARIANTS.variants[variant].max?.[name] ?? KNOBS[name].max

export function settle(variant, asked = {}) {
  const s = { variant }
  for (const [name, usual] of Object.entries(VARIANTS.variants[variant].knobs)) {
    s[name] = structuredClone(asked[name] ?? usual)
    const high = most(variant, name)
    if (KNOBS[name].pair) s[name] = s[name].map(value => clamp(value, KNOBS[name].min, high))
    else s[name] = clamp(s[name], KNOBS[name].min, high)
  }
  if ('groups' in s) s.groups = divisors(s.in_channels, s.out_channels).filter(g => g <= s.groups).at(-1)
  return s
}

