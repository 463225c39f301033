// Settings in the address of the figure's own page: #variant=dilated&kernel_size=3,5&...

import VARIANTS from './variants.json' with { type: 'json' }
import { KNOBS, most, settle } from './settings.js'

export function written(s) {
  return '#' + Object.entries(s).map(([name, value]) => `${name}=${[value].flat().join()}`).join('&')
}

// Read an address; say what in it could not be had. Returns null if it is not about a variant.
export function read(address) {
  const asked = Object.fromEntries(new URLSearchParams(address.replace(/^#/, '')))
  if (!('variant' in asked)) return null
  const notes = [], { variant: wanted, ...options } = asked
  const variant = Object.hasOwn(VARIANTS.variants, wanted) ? wanted : 'standard'
  if (variant !== wanted) notes.push(`There is no variant “${wanted}” here: this is the standard one.`)
  const known = VARIANTS.variants[variant].knobs, given = {}
  for (const [name, text] of Object.entries(options)) {
    if (!Object.hasOwn(known, name)) {
      notes.push(`“${name}” is no setting of this variant.`)
      continue
    }
    const values = text.split(',').map(Number), high = most(variant, name), { min, pair } = KNOBS[name]
    if (values.length > (pair ? 2 : 1) || !/^\d+(,\d+)?$/.test(text) || values.some(n => n < min || n > high)) {
      notes.push(`${name}=${text} cannot be had: it goes from ${min} to ${high}${pair ? ', one number or rows,columns' : ''}.`)
    } else given[name] = pair ? [values[0], values.at(-1)] : values[0]
  }
  const settings = settle(variant, given)
  if (given.groups && settings.groups !== given.groups) {
    notes.push(`groups=${given.groups} does not divide both channel counts: here it is ${settings.groups}.`)
  }
  return { settings, note: notes.join(' ') }
}

