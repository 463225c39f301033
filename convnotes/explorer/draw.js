// The drawing: what geometry.js found, on a canvas. Nothing is computed here but places.

import { number } from './geometry.js'

const FONT = 'system-ui, sans-serif'
const TITLE = 36 // pixels above a grid: two lines
const INDEX = 15 // pixels beside a grid: numbers of rows and columns
const SIGN = 24 // pixels between two grids
const LARGEST = 36 // pixels, a cell

// Colours. The style sheet names them, for light and dark; a cell is a tint of one of them.

export function readPalette(probes) {
  const palette = {}
  for (const probe of probes) palette[probe.dataset.color] = getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number)
  return palette
}
export const rgb = ([r, g, b]) => `rgb(${r},${g},${b})`
export const tint = (palette, name, strength) =>
  rgb(palette[name].map((part, n) => Math.round(palette.paper[n] + strength * (part - palette.paper[n]))))

// Prepare a canvas for drawing in CSS pixels, sharp on every screen.
export function fresh(canvas) {
  const scale = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight
  const [across, down] = [Math.round(width * scale), Math.round(height * scale)]
  if (canvas.width !== across || canvas.height !== down) Object.assign(canvas, { width: across, height: down })
  const context = canvas.getContext('2d')
  context.setTransform(scale, 0, 0, scale, 0, 0)
  context.clearRect(0, 0, width, height)
  context.textBaseline = 'middle'
  return { context, width, height }
}

// Places. The grids stand in a row, or in several where that makes the cells larger.

function breaks(count) {
  return Array.from({ length: 2 ** (count - 1) }, (_, bits) => {
    const rows = [[0]]
    for (let n = 1; n < count; n++) bits >> (n - 1) & 1 ? rows.push([n]) : rows.at(-1).push(n)
    return rows
  })
}

function titleWidth(context, grid) {
  context.font = `600 13px ${FONT}`
  const first = context.measureText(grid.title).width
  context.font = `12px ${FONT}`
  return Math.ceil(Math.max(first, context.measureText(grid.subtitle).width))
}

// Give every grid its x and y (of the top left cell, padding included) and all one cell size.
export function arrange(context, width, height, grids) {
  const titles = grids.map(grid => titleWidth(context, grid))
  const wide = (n, cell) => Math.max(grids[n].columns * cell + INDEX, titles[n])
  const across = (row, cell) => row.reduce((sum, n) => sum + wide(n, cell) + (n ? SIGN : 0), 0)
  const fits = (rows, cell) => rows.every(row => across(row, cell) <= width)
    && rows.reduce((sum, row) => sum + TITLE + INDEX + 6 + cell * Math.max(...row.map(n => grids[n].rows)), 0) <= height
  let best = { cell: 0 }
  for (const rows of breaks(grids.length)) {
    let cell = LARGEST
    while (cell > 2 && !fits(rows, cell)) cell -= 0.5
    if (cell > best.cell || (cell === best.cell && rows.length < best.rows.length)) best = { cell, rows }
  }
  const { cell, rows } = best
  const tall = rows.map(row => TITLE + INDEX + 6 + cell * Math.max(...row.map(n => grids[n].rows)))
  let top = Math.max(0, (height - tall.reduce((a, b) => a + b)) / 2)
  rows.forEach((row, r) => {
    let left = (width - across(row, cell)) / 2
    const body = tall[r] - TITLE - INDEX - 6
    for (const n of row) {
      const grid = grids[n], w = wide(n, cell), block = grid.columns * cell + INDEX
      if (n) left += SIGN
      grid.cell = cell
      grid.x = Math.round(left + (w - block) / 2 + INDEX)
      grid.y = Math.round(top + TITLE + INDEX + (body - grid.rows * cell) / 2)
      grid.middle = left + w / 2
      grid.sign = { text: n ? grid.before : '', x: left - SIGN / 2, y: top + TITLE + INDEX + body / 2 }
      left += w
    }
    top += tall[r]
  })
  return cell
}

// The cell of a grid under a point, in the grid's own numbering: padding is negative or beyond.
export function cellAt(grid, x, y) {
  const i = Math.floor((y - grid.y) / grid.cell), j = Math.floor((x - grid.x) / grid.cell)
  return i >= 0 && j >= 0 && i < grid.rows && j < grid.columns ? [i - grid.border.top, j - grid.border.left] : null
}

// The middle of a cell, or of a point between cells.
export const centre = (grid, i, j) => [grid.x + (j + grid.border.left + 0.5) * grid.cell, grid.y + (i + grid.border.top + 0.5) * grid.cell]

// A grid: { role, title, subtitle, rows, columns (border included), size: [rows, columns] without it,
// border: {top, left}, value(i, j), strength(i, j), marked: [[i, j]...], chosen: [i, j], text }.
export function drawGrid(context, palette, grid) {
  const { x: left, y: top, cell, size, border } = grid
  context.textAlign = 'center'
  context.fillStyle = rgb(palette.ink)
  context.font = `600 13px ${FONT}`
  const titleTop = grid.y - INDEX - TITLE + 9
  context.fillText(grid.title, grid.middle, titleTop)
  context.font = `12px ${FONT}`
  context.fillStyle = rgb(palette.soft)
  context.fillText(grid.subtitle, grid.middle, titleTop + 16)
  if (grid.sign.text) {
    context.font = `20px ${FONT}`
    context.fillText(grid.sign.text, grid.sign.x, grid.sign.y)
  }
  if (!grid.rows) return
  if (cell >= 12) indices(context, palette, grid)

  const gap = cell >= 8 ? 1 : cell >= 4 ? 0.5 : 0
  context.font = `10px ${FONT}`
  const letter = Math.min(14, cell * 0.46, 10 * (cell - 4) / context.measureText(grid.longest).width)
  context.font = `${letter}px ${FONT}`
  for (let r = 0; r < grid.rows; r++) {
    for (let c = 0; c < grid.columns; c++) {
      const i = r - border.top, j = c - border.left
      const inside = i >= 0 && j >= 0 && i < size[0] && j < size[1]
      const x = left + c * cell, y = top + r * cell
      context.fillStyle = tint(palette, inside ? grid.role : 'padding', grid.strength(i, j, inside))
      context.fillRect(x, y, cell - gap, cell - gap)
      if (letter < 6.5) continue
      context.fillStyle = rgb(inside ? palette.ink : palette.soft)
      context.fillText(grid.value(i, j, inside), x + (cell - gap) / 2, y + (cell - gap) / 2 + 0.5)
    }
  }
  context.strokeStyle = rgb(palette.kernel)
  context.lineWidth = cell >= 14 ? 2 : 1
  for (const [i, j] of grid.marked) box(context, grid, i, j, 0.5)
  context.strokeStyle = rgb(palette.ink)
  context.lineWidth = cell >= 14 ? 2.5 : 1.5
  for (const [i, j] of grid.chosen) box(context, grid, i, j, 0)
}

function box(context, { x, y, cell, border }, i, j, inset) {
  const edge = inset + context.lineWidth / 2 - 0.5
  context.strokeRect(x + (j + border.left) * cell + edge, y + (i + border.top) * cell + edge, cell - 2 * edge - 1, cell - 2 * edge - 1)
}

function indices(context, palette, { x, y, cell, size, border }) {
  context.font = `10px ${FONT}`
  context.fillStyle = rgb(palette.soft)
  const every = cell < 17 ? 2 : 1
  for (let i = 0; i < size[0]; i += every) context.fillText(`${i}`, x - 9, y + (i + border.top + 0.5) * cell)
  for (let j = 0; j < size[1]; j += every) context.fillText(`${j}`, x + (j + border.left + 0.5) * cell, y - 8)
}

// Deformable: from each position of the regular grid to where its sampling point went.
export function drawOffsets(context, palette, grid, points, of) {
  context.lineWidth = 1.5
  for (const point of points) {
    const [gx, gy] = centre(grid, ...point.grid), [x, y] = centre(grid, point.y, point.x)
    context.strokeStyle = rgb(palette.soft)
    context.setLineDash([3, 2])
    context.strokeRect(gx - 3, gy - 3, 6, 6)
    context.beginPath()
    context.moveTo(gx, gy)
    context.lineTo(x, y)
    context.stroke()
    context.setLineDash([])
    if (point !== of) continue
    context.strokeStyle = rgb(palette.ink)
    const [ax, ay] = centre(grid, point.corners[0].y - 0.5, point.corners[0].x - 0.5)
    context.strokeRect(ax, ay, 2 * grid.cell - 1, 2 * grid.cell - 1)
  }
}

// All channels: rows of small maps, one row for the input and one after each step, and a line
// for each kernel between them. levels: [{ role, label, count, size, values, chosen }],
// links: for each gap [[from, to, strong]...]. Returns where each map stands.
export function drawChannels(context, palette, width, height, levels, links) {
  const label = 15, most = Math.max(...levels.map(level => level.count))
  const side = Math.min(30, (width - 4) / most - 3, (height - label * levels.length) / levels.length - 16)
  const places = []
  levels.forEach((level, n) => {
    const room = height - side - 2 * label
    const y = label + room * n / (levels.length - 1)
    const step = Math.min(width / level.count, side * 1.7)
    places.push(Array.from({ length: level.count }, (_, c) => ({ x: (width - step * (level.count - 1)) / 2 + c * step - side / 2, y, side })))
  })
  for (const strong of [false, true]) {
    links.forEach((pairs, n) => {
      context.strokeStyle = strong ? rgb(palette.kernel) : tint(palette, 'kernel', 0.45)
      context.lineWidth = strong ? 2 : 1
      context.beginPath()
      for (const [from, to, isStrong] of pairs) {
        if (isStrong !== strong) continue
        const a = places[n][from], b = places[n + 1][to]
        context.moveTo(a.x + side / 2, a.y + side)
        context.lineTo(b.x + side / 2, b.y)
      }
      context.stroke()
    })
  }
  levels.forEach((level, n) => {
    const [rows, columns] = level.size, each = rows * columns
    const largest = Math.max(1, ...[level.values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)])
    const tints = Array.from({ length: 17 }, (_, step) => tint(palette, level.role, 0.12 + 0.6 * step / 16))
    places[n].forEach(({ x, y }, c) => {
      const scale = side / Math.max(rows, columns), w = columns * scale, h = rows * scale
      const left = x + (side - w) / 2, top = y + (side - h) / 2
      context.fillStyle = tints[0]
      context.fillRect(x, y, side, side)
      for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) {
        const shade = Math.round(16 * Math.abs(level.values[c * each + i * columns + j]) / largest)
        if (!shade) continue
        context.fillStyle = tints[shade]
        context.fillRect(left + j * scale, top + i * scale, scale, scale)
      }
      context.strokeStyle = c === level.chosen ? rgb(palette.ink) : tint(palette, level.role, 0.8)
      context.lineWidth = c === level.chosen ? 2.5 : 1
      context.strokeRect(x, y, side, side)
    })
    context.font = `12px ${FONT}`
    context.textAlign = 'center'
    context.fillStyle = rgb(palette.soft)
    const low = n === levels.length - 1
    if (n === 0) context.fillText(level.label, width / 2, 7)
    else if (low) context.fillText(level.label, width / 2, height - 6)
  })
  return places
}

// The longest of some numbers, as it stands in a cell.
export function longestText(values, from, count) {
  let longest = '0'
  for (let n = from; n < from + count; n++) {
    const text = number(Math.round(values[n] * 10) / 10)
    if (text.length > longest.length) longest = text
  }
  return longest.replace(/\d/g, '0')
}
