// The page: what the reader has chosen, the knobs, pointer and keyboard, words for who listens.
// All numbers come from geometry.js, all places from draw.js.

import VARIANTS from './variants.json' with { type: 'json' }
import { KNOBS, clamp, most, settle } from './settings.js'
import {
  steps, problem, readBy, reachedFrom, counts, mixedBy, mixedInto, inputValues, layerValues, weightAt, weightOf,
  samples, sampled, reachedByPoints, offsetKey, quantities, torchLine, divisors, sentence, number, factor, thousands, times,
} from './geometry.js'
import { readPalette, fresh, arrange, cellAt, centre, drawGrid, drawOffsets, drawChannels, longestText, rgb } from './draw.js'

const COLORS = ['paper', 'ink', 'soft', 'input', 'kernel', 'output', 'padding']
const same = (a, b) => a[0] === b[0] && a[1] === b[1]
const named = text => text.replace(/_(\w+)/g, '<sub>$1</sub>')
const words = name => name.replaceAll('_', ' ')
const axes = ['rows', 'columns']
const aria = (element, name, value) => element.setAttribute(`aria-${name}`, value)
const make = (tag, properties) => Object.assign(document.createElement(tag), properties)

const PAGE = `
<div class=frame>
<header><label class=unseen for=variant>Variant</label><select id=variant></select><p class=soft></p></header>
<p class=note role=status hidden></p>
<div class=stage><canvas class=grids aria-hidden=true></canvas><div class=spots></div><p class=why hidden></p></div>
<div class=below>
<div class=mix><canvas aria-hidden=true></canvas></div>
<div class=look>
<div class=controls>
<div role=group aria-label='Point at'><span class=soft>Point at</span><button data-side=input>input</button><button data-side=output>output</button></div>
<div role=group aria-label='Go through the positions'><button data-step=-1 aria-label='Step back'>◀</button><button data-step=1 aria-label='Step on'>▶</button><button class=play aria-pressed=false>Play</button></div>
<div role=group aria-label='Numbers in the cells'><button data-shown=values>values</button><button data-shown=counts></button></div>
</div>
<div class=places></div>
<div class=sum tabindex=0 role=region aria-label='The sum, worked out'></div>
</div>
</div>
<fieldset><legend class=unseen>Settings</legend><div class=knobs></div></fieldset>
<dl class=tiles></dl>
<div class=code><code tabindex=0 role=region aria-label='The layer in PyTorch'></code><button class=copy>Copy</button><button class=link hidden>Copy the link</button></div>
<p class='unseen live' role=status></p>
${COLORS.map(name => `<i class=unseen data-color=${name} style='color:var(--${name})'></i>`).join('')}
</div>`

// Put the figure into an element. With address.js's functions, settings are read from the
// page's address and kept there.
export function mount(root, { settings, address }) {
  root.innerHTML = PAGE
  const find = selector => root.querySelector(selector), all = selector => root.querySelectorAll(selector)
  const grids = find('.grids'), mix = find('.mix canvas'), calm = matchMedia('(prefers-reduced-motion: reduce)')

  let s = settle(settings.variant, settings)
  let side = 'output' // which grid is pointed at, and where on each
  let at = { input: [0, 0], output: [0, 0] }
  let tap = null // a kernel position { step, u, v } that is singled out
  let chosen = [] // the channel shown of the input and after each step
  let moved = {} // offsets that the reader set
  let shown = 'values'
  let square = true // one slider for rows and columns
  let palette, list, maps, weights, trouble, drawn = [], places = [], playing = 0

  // What is chosen.

  function start(next) {
    s = next
    moved = {}
    side = s.variant === 'transposed' ? 'input' : 'output'
    square = Object.entries(s).every(([name, value]) => name === 'input_size' || !KNOBS[name]?.pair || same(value, value.toReversed()))
    chosen = []
    tap = s.variant === 'deformable' ? { step: 0, u: 0, v: 0 } : null
    compute()
    const half = ([rows, columns]) => [Math.min(1, rows - 1), Math.min(1, columns - 1)]
    at = { input: half(s.input_size), output: trouble ? [0, 0] : half(list.at(-1).out) }
    buildKnobs()
    find('#variant').value = s.variant
    const { looks, mixes } = VARIANTS.variants[s.variant]
    find('header p').textContent = `Where it looks: ${looks}. Which channels mix: ${mixes}.`
    find('[data-shown=counts]').textContent = s.variant === 'transposed' ? 'overlaps' : 'times read'
    render()
  }

  function compute() {
    list = steps(s)
    trouble = problem(s)
    if (trouble) return
    ({ maps, weights } = layerValues(s, moved))
    settleChannels()
    at.output = at.output.map((value, a) => clamp(value, 0, list.at(-1).out[a] - 1))
    at.input = at.input.map((value, a) => clamp(value, 0, s.input_size[a] - 1))
    if (tap && (tap.step >= list.length || tap.u >= list[tap.step].kernel[0] || tap.v >= list[tap.step].kernel[1])) {
      tap = s.variant === 'deformable' ? { step: 0, u: 0, v: 0 } : null
    }
  }

  // Keep the channels shown such that each is mixed into the next; the output's stays if it can.
  function settleChannels(from = 'output') {
    const sizes = [s.in_channels, ...list.map(step => step.outputs)]
    chosen = sizes.map((size, n) => clamp(chosen[n] ?? 0, 0, size - 1))
    const keep = (n, possible) => { if (!possible.includes(chosen[n])) chosen[n] = possible[0] }
    const middle = Number(from)
    if (from === 'output') for (let n = list.length; n-- > 0;) keep(n, mixedBy(list[n], chosen[n + 1]))
    else {
      for (let n = middle; n < list.length; n++) keep(n + 1, mixedInto(list[n], chosen[n]))
      for (let n = middle; n-- > 0;) keep(n, mixedBy(list[n], chosen[n + 1]))
    }
  }

  // For the position pointed at: the positions on every map that have to do with it.
  function involved() {
    const sets = maps.map(() => [])
    const through = (found, step, follow) => {
      const seen = new Map()
      for (const one of found) for (const next of follow(step, [one.y, one.x])) seen.set(next.y + ',' + next.x, next)
      return [...seen.values()]
    }
    const [y, x] = at[side], here = [{ y, x, inside: true }]
    if (side === 'output') {
      sets[list.length] = here
      for (let n = list.length; n-- > 0;) sets[n] = through(sets[n + 1].filter(one => one.inside), list[n], readBy)
    } else {
      sets[0] = here
      list.forEach((step, n) => { sets[n + 1] = through(sets[n].filter(one => one.inside), step, reached) })
    }
    return sets
  }

  // Drawing.

  function gridsToDraw() {
    const sets = trouble ? null : involved(), shownGrids = []
    const deformed = s.variant === 'deformable', numbers = shown === 'counts' && !trouble ? counts(list[0]) : null
    const points = deformed && !trouble && side === 'output' ? samples(s, list[0], moved, at.output) : null
    const point = points?.find(one => tap && one.u === tap.u && one.v === tap.v)
    const map = n => {
      const last = list.at(-1), size = n ? list[n - 1].out : s.input_size
      const targets = n < list.length ? !list[n].scatter : list[n - 1].scatter // is it read or written around a border?
      const step = n < list.length && targets ? list[n] : n && targets ? list[n - 1] : null
      const edge = step ? step.padding : [0, 0]
      const extra = n === list.length && step ? s.output_padding : [0, 0]
      const ring = deformed && n === 0 ? edge.map(p => p + s.offset_range) : edge
      const after = ring.map((p, a) => Math.max(0, p - extra[a]))
      const gone = trouble && n === list.length
      const role = n ? 'output' : 'input', channel = chosen[n] ?? 0, each = size[0] * size[1]
      const values = trouble ? (n ? [] : inputValues(s)) : maps[n]
      const counted = numbers && (last.scatter ? n === list.length : n === 0) && !deformed
      const largest = counted ? Math.max(1, ...numbers.flat()) : 1
      const lit = new Set((sets?.[n] ?? []).map(one => `${one.y},${one.x}`))
      const here = n === (side === 'output' ? list.length : 0) && !trouble
      const weighed = point && n === 0 ? new Map(point.corners.map(one => [`${one.y},${one.x}`, one.weight])) : null
      const around = ring[0] + ring[1] ? (n && last.scatter ? ', cropped' : deformed ? ', zeros around' : ', padded') : ''
      return {
        kind: n === 0 ? 'input' : n === list.length ? 'output' : 'middle', role, size,
        title: (n === 0 ? 'Input' : n === list.length ? 'Output' : 'Between') + (gone ? '' : around),
        subtitle: gone ? 'none' : `channel ${channel}, ${times(size)}`,
        rows: gone ? 0 : size[0] + ring[0] + after[0], columns: gone ? 0 : size[1] + ring[1] + after[1],
        border: { top: ring[0], left: ring[1] }, before: '=',
        value: (i, j, inside) => counted ? (inside ? `${numbers[i][j]}` : '') : inside
          ? number(Math.round(values[channel * each + i * size[1] + j] * 10) / 10) : n && last.scatter ? '' : '0',
        longest: counted ? `${largest}` : gone ? '0' : longestText(values, channel * each, each),
        strength: (i, j, inside) => {
          const key = `${i},${j}`
          if (weighed) return inside ? 0.13 + 0.6 * (weighed.get(key) ?? 0) : 0.16
          if (here && same([i, j], at[side])) return 0.55
          if (counted && inside) return 0.1 + 0.5 * numbers[i][j] / largest
          return lit.has(key) && !points ? 0.5 : inside ? 0.13 : 0.16
        },
        marked: points && n === 0 ? [] : here ? [] : (sets?.[n] ?? []).filter(one => one.inside || !(n && last.scatter)).map(one => [one.y, one.x]),
        chosen: here ? [at[side]] : [],
      }
    }
    const kernel = n => {
      const step = list[n], [rows, columns] = step.kernel
      const w = (u, v) => trouble ? weightAt(n, 0, 0, u, v) : weightOf(step, weights[n], chosen[n + 1], chosen[n], u, v)
      const on = tap?.step === n ? tap : null
      return {
        kind: 'kernel', step: n, role: 'kernel', size: step.kernel, rows, columns, border: { top: 0, left: 0 }, before: '∗',
        title: step.name[0].toUpperCase() + step.name.slice(1), subtitle: `${list.length > 1 ? '' : 'channel '}${chosen[n] ?? 0} → ${chosen[n + 1] ?? 0}`,
        value: (u, v) => number(w(u, v)), longest: '−2',
        strength: (u, v) => on?.u === u && on.v === v ? 0.75 : 0.32,
        marked: [], chosen: on ? [[on.u, on.v]] : [],
      }
    }
    shownGrids.push(map(0))
    list.forEach((_, n) => shownGrids.push(kernel(n), map(n + 1)))
    return { shownGrids, points, point }
  }

  // Where the singled-out kernel position meets the maps on either side of its step.
  function markTap(context, shownGrids) {
    if (!tap || trouble || s.variant === 'deformable') return
    const input = shownGrids.filter(grid => grid.kind !== 'kernel')[tap.step], output = shownGrids.filter(grid => grid.kind !== 'kernel')[tap.step + 1]
    const found = side === 'output' && tap.step === list.length - 1 ? [input, readBy(list[tap.step], at.output)]
      : side === 'input' && tap.step === 0 ? [output, reachedFrom(list[0], at.input)] : null
    if (!found) return
    const one = found[1].find(({ u, v }) => u === tap.u && v === tap.v)
    if (!one || (!one.inside && list[tap.step].scatter)) return
    const [x, y] = centre(found[0], one.y, one.x), cell = found[0].cell
    context.strokeStyle = rgb(palette.ink)
    context.lineWidth = 2.5
    context.strokeRect(x - cell / 2 + 1, y - cell / 2 + 1, cell - 3, cell - 3)
  }

  function drawAll() {
    palette ??= readPalette(all('[data-color]'))
    const { context, width, height } = fresh(grids)
    const { shownGrids, points, point } = gridsToDraw()
    arrange(context, width, height - (trouble ? 70 : 0), shownGrids)
    for (const grid of shownGrids) drawGrid(context, palette, grid)
    if (points) drawOffsets(context, palette, shownGrids[0], points, point)
    markTap(context, shownGrids)
    drawn = shownGrids
    placeSpots(points)
    if (trouble) fresh(mix)
    else drawMix()
  }

  function drawMix() {
    const { context, width, height } = fresh(mix), last = list.length
    const groups = list[0].groups > 1 ? ` in ${list[0].groups} groups` : ''
    const plural = (n, text) => `${n} ${text} channel${n === 1 ? '' : 's'}`
    const levels = maps.map((values, n) => ({
      role: n ? 'output' : 'input', count: n ? list[n - 1].outputs : s.in_channels, size: n ? list[n - 1].out : s.input_size,
      values, chosen: chosen[n], label: n ? (last > 1 ? `${list[0].outputs} between, ` : '') + plural(list[n - 1].outputs, 'output') : plural(s.in_channels, 'input') + groups,
    }))
    const strong = maps.map(() => new Set())
    strong[last].add(chosen[last])
    for (let n = last; n-- > 0;) for (const o of strong[n + 1]) for (const c of mixedBy(list[n], o)) strong[n].add(c)
    const links = list.map((step, n) => Array.from({ length: step.outputs }, (_, o) =>
      mixedBy(step, o).map(c => [c, o, strong[n + 1].has(o)])).flat())
    places = drawChannels(context, palette, width, height, levels, links)
  }

  // What the keyboard reaches on the canvas: a spot over each grid, a handle on each sampling point.
  function placeSpots(points) {
    const spots = find('.spots')
    const wanted = drawn.filter(grid => grid.kind !== 'middle' && grid.rows)
    while (spots.querySelectorAll('.hot').length > wanted.length) spots.querySelector('.hot').remove()
    while (spots.querySelectorAll('.hot').length < wanted.length) {
      const spot = make('div', { className: 'hot', tabIndex: 0 })
      spot.setAttribute('role', 'application')
      spot.addEventListener('keydown', event => onArrow(event, spot.grid))
      spots.prepend(spot)
    }
    spots.querySelectorAll('.hot').forEach((spot, n) => {
      const grid = spot.grid = wanted[n]
      spot.style.cssText = `left:${grid.x - 2}px;top:${grid.y - 2}px;width:${grid.columns * grid.cell + 3}px;height:${grid.rows * grid.cell + 3}px`
      aria(spot, 'label', `${grid.title}, ${grid.size.join(' by ')}. Arrow keys choose a ${grid.kind === 'kernel' ? 'weight' : 'position'}.`)
    })
    const handles = [...spots.querySelectorAll('.handle')], count = points?.length ?? 0
    while (handles.length > count) handles.pop().remove()
    while (handles.length < count) {
      const handle = make('button', { className: 'handle' })
      handle.addEventListener('keydown', event => {
        const by = arrow(event)
        if (by) setOffset(handle.point, handle.point.offset.map((value, a) => value + by[a] * (event.shiftKey ? 1 : 0.125)))
      })
      handle.addEventListener('focus', () => single(0, handle.point.u, handle.point.v))
      handle.addEventListener('pointerdown', event => {
        handle.setPointerCapture(event.pointerId)
        single(0, handle.point.u, handle.point.v)
      })
      handle.addEventListener('pointermove', event => {
        if (!handle.hasPointerCapture(event.pointerId)) return
        const box = grids.getBoundingClientRect(), grid = drawn[0]
        const [gx, gy] = centre(grid, ...handle.point.grid)
        setOffset(handle.point, [event.clientY - box.top - gy, event.clientX - box.left - gx].map(d => d / grid.cell))
      })
      spots.append(handle)
      handles.push(handle)
    }
    handles.forEach((handle, n) => {
      const point = handle.point = points[n], [x, y] = centre(drawn[0], point.y, point.x)
      handle.style.left = `${x}px`
      handle.style.top = `${y}px`
      aria(handle, 'pressed', tap?.u === point.u && tap.v === point.v)
      aria(handle, 'label', `Sampling point ${point.u}, ${point.v}: offset ${number(point.offset[0])} rows, `
        + `${number(point.offset[1])} columns. Arrow keys move it.`)
    })
  }

  function setOffset({ u, v, grid }, offset) {
    const [i, j] = at.output, border = drawn[0].border, reach = [border.top, border.left]
    moved[offsetKey(i, j, u, v)] = offset.map((value, a) =>
      clamp(Math.round(value * 8) / 8, -reach[a] - grid[a], s.input_size[a] - 1 + reach[a] - grid[a]))
    compute()
    render()
  }

  function single(step, u, v) {
    tap = { step, u, v }
    render()
  }

  // Words and numbers.

  const chip = (kind, text) => `<i class='${kind}'>${text}</i>`

  function terms(n, o, c, [i, j]) {
    const step = list[n], [H, W] = step.size, kind = n ? 'm' : 'x'
    const found = s.variant === 'deformable' ? samples(s, step, moved, [i, j]) : readBy(step, [i, j])
    return found.map(one => {
      const w = weightOf(step, weights[n], o, c, one.u, one.v)
      const x = s.variant === 'deformable' ? sampled(maps[0], c, step.size, one.corners)
        : one.inside ? maps[n][(c * H + one.y) * W + one.x] : 0
      const on = tap?.step === n && tap.u === one.u && tap.v === one.v
      return { ...one, w, x, text: `<span class='t${on ? ' on' : ''}'>${chip('w', factor(w))}·${chip(one.inside || one.corners ? kind : 'p', factor(x))}</span>` }
    })
  }
  const total = found => found.reduce((sum, { w, x }) => sum + w * x, 0)

  function sumOf(n, at, name) {
    const step = list[n], o = chosen[n + 1], [H, W] = step.out
    const value = maps[n + 1][(o * H + at[0]) * W + at[1]], mixed = mixedBy(step, o)
    const own = terms(n, o, chosen[n], at), worked = own.map(term => term.text).join(' + ') || 'nothing reaches it'
    const head = `<p><b>${name}[${o}, ${at.join(', ')}] = ${chip(n === list.length - 1 ? 'y' : 'm', number(value))}</b>`
    const from = n ? 'between' : 'input'
    if (mixed.length === 1) return `${head} = ${worked}</p>`
    const others = mixed.map(c => `<span class='t${c === chosen[n] ? ' on' : ''}'>${number(Math.round(total(terms(n, o, c, at)) * 1000) / 1000)}</span>`)
    return `${head} = ${others.join(' + ').replaceAll(`+ <span class='t'>−`, `− <span class='t'>`)} <span class=soft>one for each ${from} channel</span></p>`
      + `<p><span class=soft>${from} channel ${chosen[n]}:</span> ${worked} = <b>${number(Math.round(total(own) * 1000) / 1000)}</b></p>`
  }

  function workedOut() {
    const last = list.length - 1, [i, j] = at[side]
    if (side === 'output') {
      let text = sumOf(last, [i, j], 'y')
      if (last) {
        const read = readBy(list[last], [i, j])
        const one = read.find(({ u, v }) => tap?.step === last && tap.u === u && tap.v === v) ?? read[Math.floor(read.length / 2)]
        const use = one.inside ? one : read.find(other => other.inside)
        if (use) text += sumOf(0, [use.y, use.x], 'between') // none where all that is read is padding
      }
      if (s.variant === 'deformable') {
        const point = samples(s, list[0], moved, [i, j]).find(({ u, v }) => u === tap.u && v === tap.v)
        const value = sampled(maps[0], chosen[0], list[0].size, point.corners)
        text = `<p><span class=soft>point ${tap.u}, ${tap.v} at row ${number(point.y)}, column ${number(point.x)}:</span> ${point.corners.map(({ y, x, weight, inside }) =>
          `<span class=t>${number(weight)}·${chip(inside ? 'x' : 'p', inside ? maps[0][(chosen[0] * s.input_size[0] + y) * s.input_size[1] + x] : 0)}</span>`).join(' + ')} = ${chip('x', number(value))}</p>` + text
      }
      return text
    }
    const step = list[0], [H, W] = s.input_size, c = chosen[0], o = chosen[1]
    const value = maps[0][(c * H + i) * W + j], hits = reached(step, [i, j])
    const verb = step.scatter ? 'is multiplied by the kernel, and added to' : 'is read by'
    const name = list.length > 1 ? 'between' : 'y'
    const each = hits.filter(one => one.inside).map(one => {
      const w = weightOf(step, weights[0], o, c, one.u, one.v) * (one.weight ?? 1)
      const on = tap?.u === one.u && tap.v === one.v
      return `<span class='t${on ? ' on' : ''}'>${name}[${o}, ${one.y}, ${one.x}] += ${chip('w', factor(w))}·${chip('x', value)}</span>`
    })
    const cropped = hits.length - each.length
    return `<p><b>x[${c}, ${i}, ${j}] = ${chip('x', value)}</b> ${each.length ? verb : 'is read by no output'}</p><p>${each.join(', ')}`
      + `${cropped ? ` <span class=soft>${cropped} more cropped away</span>` : ''}</p>`
  }

  const reached = (step, target) => s.variant === 'deformable' ? reachedByPoints(s, step, moved, target) : reachedFrom(step, target)

  let announced, waiting
  function announce(text) {
    clearTimeout(waiting)
    if (text === announced || playing) return
    waiting = setTimeout(() => { find('.live').textContent = announced = text }, 300)
  }

  function writeNumbers() {
    find('.tiles').innerHTML = quantities(s).map(({ name, value, note, lines }, n) => {
      const off = trouble && n > 2
      return `<div><dt>${name} <b>${trouble && (off || !n) ? 'none' : value}</b></dt><dd>${note ? `<span class=soft>${named(note)}</span>` : ''}`
        + (off ? [] : lines).map(({ label, numbers, result }) => `<span>${label ? `<span class=soft>${named(label)}</span> ` : ''}${numbers}`
          + `${!numbers || numbers === `${result}` ? '' : ` = ${thousands(number(result))}`}</span>`).join('') + '</dd></div>'
    }).join('')
    find('code').textContent = torchLine(s)
  }

  let lastNumbers
  function render() {
    find('.stage').classList.toggle('long', list.length > 1)
    find('.why').hidden = !trouble
    find('.why').textContent = trouble
    for (const button of all('[data-side]')) aria(button, 'pressed', button.dataset.side === side)
    for (const button of all('[data-shown]')) aria(button, 'pressed', button.dataset.shown === shown)
    find('[data-shown=counts]').parentElement.hidden = s.variant === 'deformable'
    find('.play').hidden = calm.matches
    drawAll()
    const numbers = JSON.stringify(s)
    if (numbers !== lastNumbers) {
      writeNumbers()
      if (address && lastNumbers) saveSoon() // what was opened stays in the address as it was
      lastNumbers = numbers
    }
    placeSliders()
    find('.sum').innerHTML = trouble ? '' : workedOut()
    if (trouble) announce(trouble)
    else {
      const map = maps[side === 'output' ? list.length : 0], size = side === 'output' ? list.at(-1).out : s.input_size
      const value = map[(chosen[side === 'output' ? list.length : 0] * size[0] + at[side][0]) * size[1] + at[side][1]]
      const [out, , params, macs] = quantities(s)
      announce(`Output ${out.value.replace('×', 'by')}. ${params.value} parameters, ${macs.value} MACs. ${sentence(s, side, at[side], value, moved)}`)
    }
  }

  // Knobs.

  function slider(label, low, high, value, input, text = value) {
    const element = make('input', { type: 'range', min: low, max: high, step: 1, value })
    aria(element, 'label', label)
    aria(element, 'valuetext', text)
    element.addEventListener('input', () => input(Number(element.value)))
    return element
  }

  function buildKnobs() {
    const box = find('.knobs'), focused = root.getRootNode().activeElement?.dataset?.knob
    box.innerHTML = ''
    for (const name of Object.keys(VARIANTS.variants[s.variant].knobs)) {
      const { pair, min, symbol, says } = KNOBS[name], high = most(s.variant, name)
      const knob = make('div', { className: 'knob', title: says }), row = make('div')
      knob.innerHTML = `<span><span>${words(name)} <span class=soft>${named(symbol)}</span></span><b data-value='${name}'></b></span>`
      const add = (axis, label) => {
        const element = slider(label, min, high, 0, value => turn(name, axis, value))
        element.dataset.knob = name + axis
        row.append(element)
      }
      if (pair && (!square || name === 'input_size')) axes.forEach((axis, a) => add(a, `${words(name)}, ${axis}`))
      else add('', words(name))
      knob.append(row)
      if (s.variant === 'grouped' && name === 'groups') knob.insertAdjacentHTML('beforeend', '<small aria-hidden=true><span>standard</span><span class=end></span></small>')
      box.append(knob)
    }
    if (Object.keys(VARIANTS.variants[s.variant].knobs).some(name => name !== 'input_size' && KNOBS[name].pair)) {
      box.insertAdjacentHTML('beforeend', '<label class=both><input type=checkbox>rows = columns</label>')
      const check = box.querySelector('.both input')
      check.checked = square
      check.addEventListener('change', () => {
        square = check.checked
        if (square) for (const name in s) if (KNOBS[name]?.pair && name !== 'input_size') s[name] = [s[name][0], s[name][0]]
        compute()
        buildKnobs()
        render()
        box.querySelector('.both input').focus()
      })
    }
    if (focused) box.querySelector(`[data-knob='${focused}']`)?.focus()
  }

  function turn(name, axis, value) {
    if (name === 'offset_range') moved = {}
    if (name === 'groups') s.groups = divisors(s.in_channels, s.out_channels)[value]
    else if (axis === '') s[name] = KNOBS[name].pair ? [value, value] : value
    else s[name][axis] = value
    if ('groups' in s) s.groups = divisors(s.in_channels, s.out_channels).filter(g => g <= s.groups).at(-1)
    compute()
    render()
  }

  function placeSliders() {
    for (const element of all('[data-knob]')) {
      const name = element.dataset.knob.replace(/\d$/, ''), axis = element.dataset.knob.slice(name.length)
      let value = axis === '' ? [s[name]].flat()[0] : s[name][axis], text = value
      if (name === 'groups') {
        const possible = divisors(s.in_channels, s.out_channels)
        element.max = possible.length - 1
        element.min = 0
        element.disabled = possible.length === 1
        value = possible.indexOf(s.groups)
        text = `${s.groups} groups` + (s.groups === 1 ? ', the standard convolution' : s.groups === s.in_channels ? ', the depthwise convolution' : '')
        const end = element.closest('.knob').querySelector('.end')
        if (end) end.textContent = possible.at(-1) === s.in_channels ? 'depthwise' : `${possible.at(-1)} groups`
      }
      if (Number(element.value) !== value) element.value = value
      aria(element, 'valuetext', text)
    }
    for (const element of all('[data-value]')) {
      const value = s[element.dataset.value]
      element.textContent = !Array.isArray(value) ? value : square && element.dataset.value !== 'input_size' ? value[0] : value.join('×')
    }
    placePlaces()
  }

  // Sliders for the position and the channels shown: all that pointing does, by keyboard.
  function placePlaces() {
    const box = find('.places'), size = side === 'output' && !trouble ? list.at(-1).out : s.input_size
    const wanted = ['row', 'column'].map((name, a) => [name, size[a] - 1, at[side][a], value => { at[side][a] = value }, `${side} ${name}`])
    const counts = trouble ? [] : [s.in_channels, ...list.map(step => step.outputs)]
    counts.forEach((count, n) => {
      const name = n === 0 ? 'in channel' : n === list.length ? 'out channel' : 'between'
      wanted.push([name, count - 1, chosen[n], value => { chosen[n] = value; settleChannels(n) }, name])
    })
    while (box.children.length > wanted.length) box.lastChild.remove()
    while (box.children.length < wanted.length) {
      const place = make('div', { className: 'place', innerHTML: '<label><span></span><b></b></label>' })
      place.append(slider('', 0, 0, 0, value => { place.choose(value); render() }))
      box.append(place)
    }
    wanted.forEach(([label, high, value, choose, full], n) => {
      const place = box.children[n], element = place.querySelector('input')
      place.choose = choose
      place.querySelector('span').textContent = label
      place.querySelector('b').textContent = value
      Object.assign(element, { max: high, disabled: trouble || high < 1 })
      element.value = value
      aria(element, 'label', full)
      aria(element, 'valuetext', value)
    })
  }

  // Pointer and keyboard.

  function pointAt(event) {
    const box = grids.getBoundingClientRect()
    const x = event.clientX - box.left, y = event.clientY - box.top
    for (const grid of drawn) {
      const cell = grid.rows && cellAt(grid, x, y)
      if (cell && !trouble) return choose(grid, cell)
    }
  }
  function choose(grid, [i, j]) {
    if (grid.kind === 'kernel') {
      if (tap?.step === grid.step && tap.u === i && tap.v === j) return
      return single(grid.step, i, j)
    }
    if (grid.kind === 'middle' || i < 0 || j < 0 || i >= grid.size[0] || j >= grid.size[1]) return
    if (s.variant === 'deformable' && grid.kind === 'input' && side === 'output') return // there the points are dragged
    if (side === grid.kind && same(at[side], [i, j])) return
    side = grid.kind
    at[side] = [i, j]
    render()
  }

  function arrow(event) {
    const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key]
    if (by) event.preventDefault()
    return by
  }
  function onArrow(event, grid) {
    const by = arrow(event)
    if (!by || trouble) return
    if (grid.kind === 'kernel') {
      const now = tap?.step === grid.step ? [tap.u + by[0], tap.v + by[1]] : [0, 0]
      return single(grid.step, clamp(now[0], 0, grid.size[0] - 1), clamp(now[1], 0, grid.size[1] - 1))
    }
    if (side === grid.kind) at[side] = at[side].map((value, a) => clamp(value + by[a], 0, grid.size[a] - 1))
    side = grid.kind
    render()
  }

  function stepOn(by) {
    if (trouble) return
    const [rows, columns] = side === 'output' ? list.at(-1).out : s.input_size, count = rows * columns
    const next = (at[side][0] * columns + at[side][1] + by + count) % count
    at[side] = [Math.floor(next / columns), next % columns]
    render()
  }
  function play(on) {
    clearInterval(playing)
    playing = on && !calm.matches ? setInterval(() => stepOn(1), 600) : 0
    aria(find('.play'), 'pressed', !!playing)
    find('.play').textContent = playing ? 'Stop' : 'Play'
  }

  async function copy(button, text, from) {
    const label = button.textContent
    try {
      await navigator.clipboard.writeText(text)
      button.textContent = 'Copied'
    } catch { // a sandboxed frame may not write: select the text, so that the reader can
      getSelection().selectAllChildren(from)
      button.textContent = 'Selected'
    }
    setTimeout(() => { button.textContent = label }, 1500)
  }

  let saving
  function saveSoon() {
    clearTimeout(saving)
    saving = setTimeout(() => history.replaceState(null, '', address.written(s)), 250)
  }

  grids.addEventListener('pointermove', pointAt)
  grids.addEventListener('pointerdown', pointAt)
  mix.addEventListener('pointerdown', event => {
    const box = mix.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top
    places.forEach((row, n) => row.forEach((place, c) => {
      if (x < place.x - 2 || y < place.y - 2 || x > place.x + place.side + 2 || y > place.y + place.side + 2) return
      chosen[n] = c
      settleChannels(n)
      render()
    }))
  })
  root.addEventListener('click', ({ target }) => {
    const { side: to, step, shown: what } = target.dataset ?? {}
    if (to) { side = to; render() }
    if (step) stepOn(Number(step))
    if (what) { shown = what; render() }
    if (target.matches('.play')) play(!playing)
    if (target.matches('.copy')) copy(target, torchLine(s), find('code'))
    if (target.matches('.link')) copy(target, location.href.split('#')[0] + address.written(s), find('code'))
  })
  const select = find('#variant')
  for (const [variant, { title }] of Object.entries(VARIANTS.variants)) select.add(new Option(title, variant))
  select.addEventListener('change', () => {
    note('')
    const kept = Object.fromEntries(Object.entries(s).filter(([name]) => ['input_size', 'kernel_size'].includes(name)))
    start(settle(select.value, select.value === 'transposed' || s.variant === 'transposed' ? {} : kept))
  })

  function note(text) {
    find('.note').hidden = !text
    find('.note').textContent = text
  }
  function fromAddress() {
    const found = address?.read(location.hash)
    if (!found) return false
    start(found.settings)
    note(found.note)
    return true
  }
  if (address) {
    find('.link').hidden = false
    addEventListener('hashchange', fromAddress)
  }

  const repaint = () => { palette = null; drawAll() }
  if (!fromAddress()) start(s)
  new ResizeObserver(drawAll).observe(grids)
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', repaint)
  new MutationObserver(repaint).observe(document.documentElement, { attributeFilter: ['data-theme'] })
  calm.addEventListener('change', () => { play(false); render() })
}
