// The arithmetic of the interactive figure: sizes, who reads what, values, costs, formulas.
// Nothing here touches the page. Pairs are [rows, columns]; names are those of the book.
// tests/test_explorer.py compares it with the package, setting by setting.

const BOTH = [0, 1]
const area = ([rows, columns]) => rows * columns

// Sizes, along one axis.

export const extent = (K, D) => D * (K - 1) + 1
export const gatherSize = (n, K, S, P, D) => Math.floor((n + 2 * P - extent(K, D)) / S) + 1
export const scatterSize = (n, K, S, P, E, D) => (n - 1) * S - 2 * P + extent(K, D) + E

// Every variant is one or two steps, and every step a grouped convolution.
// A step moves a kernel over its *anchors*; at anchor i, kernel row u meets the *target*
// S * i + D * u - P. A convolution's anchors are its outputs and it reads its targets;
// a transposed one's anchors are its inputs and it writes to its targets.

export function steps(s) {
  const { kernel_size: K = [1, 1], stride: S = [1, 1], padding: P = [0, 0] } = s
  const { dilation: D = [1, 1], output_padding: E = [0, 0], in_channels: C } = s
  const { out_channels: O, channel_multiplier: M = 1 } = s
  const layer = (name, inputs, outputs, options = {}) => ({
    name, inputs, outputs, groups: s.groups ?? 1, scatter: false,
    kernel: K, stride: S, padding: P, dilation: D, ...options,
  })
  const point = { groups: 1, kernel: [1, 1], stride: [1, 1], padding: [0, 0], dilation: [1, 1] }
  const depthwise = layer('depthwise', C, C * M, { groups: C })
  const list = {
    separable: () => [
      layer('column', C, s.mid_channels, { kernel: [K[0], 1], stride: [S[0], 1], padding: [P[0], 0] }),
      layer('row', s.mid_channels, O, { kernel: [1, K[1]], stride: [1, S[1]], padding: [0, P[1]] }),
    ],
    depthwise: () => [{ ...depthwise, name: 'kernel' }],
    depthwise_separable: () => [depthwise, layer('pointwise', C * M, O, point)],
    transposed: () => [layer('kernel', C, O, { scatter: true })],
  }[s.variant]?.() ?? [layer('kernel', C, O)]
  let size = s.input_size
  for (const step of list) {
    step.size = size
    step.out = BOTH.map(a => step.scatter
      ? scatterSize(size[a], step.kernel[a], step.stride[a], step.padding[a], E[a], step.dilation[a])
      : gatherSize(size[a], step.kernel[a], step.stride[a], step.padding[a], step.dilation[a]))
    step.anchors = step.scatter ? step.size : step.out
    step.targets = step.scatter ? step.out : step.size
    step.weights = step.outputs * step.inputs / step.groups * area(step.kernel)
    size = step.out
  }
  return list
}

// Say in words why a setting has no output, '' if it has one.
export function problem(s) {
  const word = ['rows', 'columns']
  for (const step of steps(s)) {
    for (const a of BOTH) {
      const K = step.kernel[a], D = step.dilation[a], P = step.padding[a], long = extent(K, D)
      const spans = `The kernel spans ${long} ${word[a]}${D > 1 ? ` (${K} with dilation ${D})` : ''}`
      if (!step.scatter && long > step.size[a] + 2 * P) {
        return `${spans}, but the padded input has only ${step.size[a] + 2 * P}: there is no place for it. `
          + `A larger input_size or padding${D > 1 ? ', or a smaller dilation,' : ''} makes one.`
      }
      const most = Math.max(step.stride[a], D) - 1
      if (step.scatter && s.output_padding[a] > most) {
        return `output_padding is ${s.output_padding[a]} along the ${word[a]}: it must be smaller than stride `
          + `or dilation, at most ${most} here. More would add ${word[a]} that nothing reaches.`
      }
      if (step.scatter && step.out[a] < 1) {
        return `padding ${P} crops ${2 * P} ${word[a]}, all that there are: no output is left. Less padding leaves some.`
      }
    }
  }
  return ''
}

// Who meets whom.

// What the kernel at one anchor meets: a target for each kernel position, inside or not.
export function met(step, [i, j]) {
  const found = []
  for (let u = 0; u < step.kernel[0]; u++) {
    for (let v = 0; v < step.kernel[1]; v++) {
      const y = step.stride[0] * i + step.dilation[0] * u - step.padding[0]
      const x = step.stride[1] * j + step.dilation[1] * v - step.padding[1]
      found.push({ u, v, y, x, inside: y >= 0 && x >= 0 && y < step.targets[0] && x < step.targets[1] })
    }
  }
  return found
}

// The reverse: the anchors from which the kernel meets one target, and by which position.
export function meeting(step, [y, x]) {
  const along = (at, a) => {
    const found = []
    for (let u = 0; u < step.kernel[a]; u++) {
      const i = (at + step.padding[a] - step.dilation[a] * u) / step.stride[a]
      if (Number.isInteger(i) && i >= 0 && i < step.anchors[a]) found.push([u, i])
    }
    return found
  }
  return along(y, 0).flatMap(([u, i]) => along(x, 1).map(([v, j]) => ({ u, v, i, j })))
}

// Which inputs an output position reads, and which outputs an input position reaches.
// Each is { u, v, y, x, inside }, with y and x on the other side.
export function readBy(step, at) {
  return step.scatter ? reversed(step, at) : met(step, at)
}
export function reachedFrom(step, at) {
  return step.scatter ? met(step, at) : reversed(step, at)
}
const reversed = (step, at) => meeting(step, at).map(({ u, v, i, j }) => ({ u, v, y: i, x: j, inside: true }))

// How many kernel positions meet each target: how often a pixel is read, or written to.
export function counts(step) {
  const along = a => Array.from({ length: step.targets[a] }, (_, at) => {
    let n = 0
    for (let u = 0; u < step.kernel[a]; u++) {
      const i = (at + step.padding[a] - step.dilation[a] * u) / step.stride[a]
      n += Number.isInteger(i) && i >= 0 && i < step.anchors[a]
    }
    return n
  })
  const columns = along(1)
  return along(0).map(row => columns.map(column => row * column))
}

// The input channels that output channel o mixes, and the other way round.
export function mixedBy(step, o) {
  const per = step.inputs / step.groups, first = Math.floor(o / (step.outputs / step.groups)) * per
  return Array.from({ length: per }, (_, n) => first + n)
}
export function mixedInto(step, c) {
  const per = step.outputs / step.groups, first = Math.floor(c / (step.inputs / step.groups)) * per
  return Array.from({ length: per }, (_, n) => first + n)
}

// Values. A pixel keeps its number whatever the sizes are, so turning a knob moves nothing else.

function scrambled(...indices) {
  let n = 17
  for (const index of indices) n = Math.imul(n ^ (index + 101), 0x9E3779B1) ^ (n >>> 13)
  return (n ^ (n >>> 16)) >>> 0
}
export const pixel = (c, y, x) => scrambled(1, c, y, x) % 5
export const weightAt = (step, o, c, u, v) => [-1, 0, 1, 2, -1, 0, 1, -2][scrambled(2, step, o, c, u, v) % 8]

// Flat arrays: input (C, H, W), and for each step weight (C_out, C_in / G, K_h, K_w),
// or (C_in, C_out / G, K_h, K_w) if it scatters, as torch has them.
export function inputValues(s) {
  const [H, W] = s.input_size, values = []
  for (let c = 0; c < s.in_channels; c++) for (let y = 0; y < H; y++) for (let x = 0; x < W; x++) values.push(pixel(c, y, x))
  return values
}
export function weightValues(step, number) {
  const [first, second] = step.scatter ? [step.inputs, step.outputs / step.groups] : [step.outputs, step.inputs / step.groups]
  const values = []
  for (let a = 0; a < first; a++) for (let b = 0; b < second; b++) {
    for (let u = 0; u < step.kernel[0]; u++) for (let v = 0; v < step.kernel[1]; v++) values.push(weightAt(number, a, b, u, v))
  }
  return values
}

// The weight of output o, input c (of those it mixes), kernel row u and column v.
export function weightOf(step, weight, o, c, u, v) {
  const ins = step.inputs / step.groups, outs = step.outputs / step.groups
  const [a, b, width] = step.scatter ? [c, o % outs, outs] : [o, c % ins, ins]
  return weight[((a * width + b) * step.kernel[0] + u) * step.kernel[1] + v]
}

// One step, one multiplication at a time: the definition.
export function apply(step, input, weight) {
  const [H, W] = step.size, [Ho, Wo] = step.out, [Ka, Kb] = step.kernel
  const output = new Float64Array(step.outputs * Ho * Wo)
  const [rows, columns] = step.anchors, [high, wide] = step.targets
  for (let o = 0; o < step.outputs; o++) {
    for (const c of mixedBy(step, o)) {
      for (let u = 0; u < Ka; u++) for (let v = 0; v < Kb; v++) {
        const w = weightOf(step, weight, o, c, u, v)
        for (let i = 0; i < rows; i++) {
          const y = step.stride[0] * i + step.dilation[0] * u - step.padding[0]
          if (y < 0 || y >= high) continue
          for (let j = 0; j < columns; j++) {
            const x = step.stride[1] * j + step.dilation[1] * v - step.padding[1]
            if (x < 0 || x >= wide) continue
            if (step.scatter) output[(o * Ho + y) * Wo + x] += w * input[(c * H + i) * W + j]
            else output[(o * Ho + i) * Wo + j] += w * input[(c * H + y) * W + x]
          }
        }
      }
    }
  }
  return output
}

// Deformable: the kernel position (u, v) of output (i, j) reads off the grid, at an offset
// of its own. `moved` holds the offsets that the reader set; the others are made up.

export const offsetKey = (i, j, u, v) => [i, j, u, v].join()
export function offsetAt(s, moved, i, j, u, v) {
  return moved[offsetKey(i, j, u, v)]
    ?? BOTH.map(a => s.offset_range * (scrambled(3, i, j, u, v, a) % 9 - 4) / 4)
}

// The four pixels around a point and the weight that each has in the value between them.
export function corners(y, x, [H, W]) {
  const top = Math.floor(y), left = Math.floor(x), down = y - top, right = x - left
  return [[top, left, (1 - down) * (1 - right)], [top, left + 1, (1 - down) * right],
    [top + 1, left, down * (1 - right)], [top + 1, left + 1, down * right]]
    .map(([y, x, weight]) => ({ y, x, weight, inside: y >= 0 && x >= 0 && y < H && x < W }))
}
export function samples(s, step, moved, [i, j]) {
  return met(step, [i, j]).map(tap => {
    const [dy, dx] = offsetAt(s, moved, i, j, tap.u, tap.v)
    const y = tap.y + dy, x = tap.x + dx
    return { ...tap, grid: [tap.y, tap.x], offset: [dy, dx], y, x, corners: corners(y, x, step.size) }
  })
}
// The pixels that the points of one output read, and the outputs whose points read one pixel.
export const readByPoints = (s, step, moved, at) => samples(s, step, moved, at).flatMap(({ u, v, corners }) =>
  corners.filter(({ weight }) => weight).map(one => ({ u, v, ...one })))
export function reachedByPoints(s, step, moved, [y, x]) {
  const found = []
  for (let i = 0; i < step.out[0]; i++) for (let j = 0; j < step.out[1]; j++) {
    for (const one of readByPoints(s, step, moved, [i, j])) if (one.y === y && one.x === x) found.push({ ...one, y: i, x: j })
  }
  return found
}
export function sampled(input, c, [H, W], corners) {
  let value = 0
  for (const { y, x, weight, inside } of corners) if (inside) value += weight * input[(c * H + y) * W + x]
  return value
}
export function applyDeformed(s, step, input, weight, moved) {
  const [Ho, Wo] = step.out, output = new Float64Array(step.outputs * Ho * Wo)
  for (let i = 0; i < Ho; i++) for (let j = 0; j < Wo; j++) {
    for (const { u, v, corners } of samples(s, step, moved, [i, j])) {
      for (let c = 0; c < step.inputs; c++) {
        const value = sampled(input, c, step.size, corners)
        for (let o = 0; o < step.outputs; o++) output[(o * Ho + i) * Wo + j] += weightOf(step, weight, o, c, u, v) * value
      }
    }
  }
  return output
}

// The input and what comes out of each step.
export function layerValues(s, moved = {}) {
  const input = inputValues(s), list = steps(s), weights = list.map(weightValues), maps = [input]
  list.forEach((step, n) => maps.push(s.variant === 'deformable'
    ? applyDeformed(s, step, input, weights[n], moved) : apply(step, maps[n], weights[n])))
  return { maps, weights }
}

// Costs of one image, counted as convnotes.costs counts them.

export function cost(s) {
  const total = { params: 0, macs: 0, moved: 0 }
  for (const step of steps(s)) {
    total.params += step.weights
    total.macs += step.weights * area(step.anchors)
    total.moved += step.inputs * area(step.size) + step.weights + step.outputs * area(step.out)
    if (s.variant === 'deformable') {
      total.macs += 4 * step.inputs * area(step.kernel) * area(step.out)
      total.moved += 2 * area(step.kernel) * area(step.out)
    }
  }
  return total
}

// The standard layer that a variant is compared with, and how to say which that is.
export function standard(s) {
  const like = { variant: 'standard', stride: [1, 1], padding: [0, 0], dilation: [1, 1], ...s, groups: 1 }
  const outputs = steps(s).at(-1).outputs
  if (s.variant === 'transposed') {
    return [{ ...like, variant: 'standard', input_size: steps(s)[0].out, in_channels: s.out_channels, out_channels: s.in_channels },
      'the layer that it is the transpose of']
  }
  if (s.variant === 'pointwise') {
    return [{ ...like, variant: 'standard', kernel_size: [3, 3], padding: [1, 1] }, 'a standard layer, 3×3, padding 1']
  }
  return [{ ...like, variant: 'standard', out_channels: outputs }, 'a standard layer of the same sizes']
}

// What one output position sees of the input, as convnotes.receptive_field counts it.
export function field(s) {
  const size = [1, 1], stride = [1, 1], padding = [0, 0], positions = [new Set([0]), new Set([0])]
  for (const step of steps(s)) {
    for (const a of BOTH) {
      const reads = new Set()
      for (const at of positions[a]) for (let u = 0; u < step.kernel[a]; u++) reads.add(at + stride[a] * step.dilation[a] * u)
      positions[a] = reads
      size[a] += stride[a] * (extent(step.kernel[a], step.dilation[a]) - 1)
      padding[a] += stride[a] * step.padding[a]
      stride[a] *= step.stride[a]
    }
  }
  return { size, stride, padding, read: positions.map(set => set.size) }
}

// Numbers as text.

export const number = n => typeof n === 'string' ? n : (Number.isInteger(n) ? `${n}` : `${Math.round(n * 1000) / 1000}`).replace('-', '−')
export const factor = n => n < 0 ? `(${number(n)})` : number(n)
export const thousands = n => `${n}`.replace(/\B(?=(\d{3})+$)/g, ',')
export const ratio = n => n >= 0.995 ? `${Math.round(n * 100) / 100}` : n.toPrecision(2)
export const times = ([rows, columns]) => `${rows} × ${columns}`
const signed = text => text.replaceAll('-', '−')

// A formula is written once, with {symbols}; here it is with numbers in their place.
export const filled = (formula, values) => formula.replace(/\{(\w+)\}/g, (_, name) => thousands(values[name]))
export const symbolic = formula => formula.replace(/[{}]/g, '')

// What the figure says about a setting: for each quantity its value and its formulas.
export function quantities(s) {
  const list = steps(s), first = list[0], last = list.at(-1), total = cost(s)
  const [like, against] = standard(s), whole = cost(like), seen = field(s)
  const K = s.kernel_size ?? [1, 1]
  const values = {
    H: s.input_size[0], W: s.input_size[1], H_out: last.out[0], W_out: last.out[1], K_h: K[0], K_w: K[1],
    C_in: first.inputs, C_out: last.outputs, C_mid: first.outputs, G: first.groups, M: s.channel_multiplier ?? 1,
    params: total.params, MACs: total.macs, moved: total.moved, MACs_std: whole.macs, params_std: whole.params,
  }
  for (const [name, knob] of [['S', 'stride'], ['P', 'padding'], ['D', 'dilation'], ['E', 'output_padding']]) {
    values[`${name}_h`] = (s[knob] ?? [name === 'S' || name === 'D' ? 1 : 0])[0]
    values[`${name}_w`] = (s[knob] ?? [0, name === 'S' || name === 'D' ? 1 : 0])[1]
  }
  const line = (label, formula, result) => ({ label, numbers: filled(formula, values), result })
  const both = (name, value, formula, results) => ({ name, value, note: symbolic(formula('H', '')),
    lines: BOTH.map(a => line(['rows', 'columns'][a], formula('HW'[a], '_' + 'hw'[a]), results[a])) })
  const one = (name, formula, result) => ({ name, value: thousands(result), note: symbolic(formula), lines: [line('', formula, result)] })
  const knows = 'dilation' in s, scatters = s.variant === 'transposed'
  const spread = (n, a) => s.variant === 'pointwise' ? '1' : knows ? `{D${a}}·({K${a}} − 1) + 1` : `{K${a}}`
  const size = (n, a) => scatters ? `({${n}} − 1)·{S${a}} − 2·{P${a}} + {D${a}}·({K${a}} − 1) + {E${a}} + 1`
    : s.variant === 'pointwise' ? `⌊({${n}} − 1) / {S${a}}⌋ + 1`
      : `⌊({${n}} + 2·{P${a}} − ${knows ? `{D${a}}·({K${a}} − 1) − 1` : `{K${a}}`}) / {S${a}}⌋ + 1`
  const weights = {
    separable: '{C_mid}·{C_in}·{K_h} + {C_out}·{C_mid}·{K_w}',
    depthwise: '{C_in}·{M}·{K_h}·{K_w}',
    pointwise: '{C_out}·{C_in}',
    depthwise_separable: '{C_in}·{M}·({K_h}·{K_w} + {C_out})',
  }[s.variant] ?? ('groups' in s ? '{C_out}·({C_in} / {G})·{K_h}·{K_w}' : '{C_out}·{C_in}·{K_h}·{K_w}')
  const macs = {
    separable: '{C_mid}·{C_in}·{K_h}·{H_out}·{W} + {C_out}·{C_mid}·{K_w}·{H_out}·{W_out}',
    transposed: '{params}·{H}·{W}',
    deformable: '({params} + 4·{C_in}·{K_h}·{K_w})·{H_out}·{W_out}',
  }[s.variant] ?? '{params}·{H_out}·{W_out}'
  const between = {
    separable: '2·{C_mid}·{H_out}·{W} + ', depthwise_separable: '2·{C_in}·{M}·{H_out}·{W_out} + ',
    deformable: '2·{K_h}·{K_w}·{H_out}·{W_out} + ',
  }[s.variant] ?? ''
  const moved = one('Elements moved', `{C_in}·{H}·{W} + {params} + ${between}{C_out}·{H_out}·{W_out}`, total.moved)
  moved.lines.push(line('MACs / moved:', '{MACs} / {moved}', ratio(total.macs / total.moved)))
  const reach = both(scatters ? 'One input writes' : s.variant === 'deformable' ? 'Field, no offsets' : 'Receptive field', times(seen.size), spread, seen.size)
  const [some, all] = [seen.read, seen.size].map(area)
  if (some < all) reach.lines.push({ label: `${some} of its ${all} positions are ${scatters ? 'written' : 'read'}`, numbers: '', result: '' })
  return [
    both('Output size', times(last.out), size, last.out),
    reach,
    one('Parameters', weights, total.params),
    one('MACs', macs, total.macs),
    moved,
    { name: 'Against standard', value: ratio(total.macs / whole.macs), note: against,
      lines: [line('MACs / MACs_std:', '{MACs} / {MACs_std}', ratio(total.macs / whole.macs)),
        line('params / params_std:', '{params} / {params_std}', ratio(total.params / whole.params))] },
  ]
}

// The line of PyTorch that makes the layer.
export function torchLine(s) {
  const call = (step, name = 'nn.Conv2d') => {
    const pair = ([a, b]) => a === b ? `${a}` : `(${a}, ${b})`
    const options = [['stride', step.stride, '1'], ['padding', step.padding, '0'],
      ['output_padding', step.scatter ? s.output_padding : [0, 0], '0']]
    const after = [['groups', [step.groups, step.groups], '1'], ['bias', null], ['dilation', step.dilation, '1']]
    if (!step.scatter) after.unshift(after.pop()) // Conv2d has dilation before groups
    const written = [...options, ...after].flatMap(([name, value, plain]) =>
      value === null ? ['bias=False'] : pair(value) === plain ? [] : [`${name}=${pair(value)}`])
    return `${name}(${[step.inputs, step.outputs, pair(step.kernel), ...written].join(', ')})`
  }
  const names = { transposed: 'nn.ConvTranspose2d', deformable: 'torchvision.ops.DeformConv2d' }
  const calls = steps(s).map(step => call(step, names[s.variant]))
  return calls.length > 1 ? `nn.Sequential(${calls.join(', ')})` : calls[0]
}

// The groups that a pair of channel counts allows: the common divisors.
export function divisors(a, b) {
  return Array.from({ length: Math.min(a, b) }, (_, n) => n + 1).filter(g => a % g === 0 && b % g === 0)
}

// What the chosen position does, in words.
export function sentence(s, side, [i, j], value, moved) {
  const list = steps(s), last = list.at(-1), first = list[0], deformed = s.variant === 'deformable'
  const span = (at, name) => {
    const low = Math.min(...at), high = Math.max(...at)
    return low === high ? `${name} ${low}` : `${name}s ${low} to ${high}`
  }
  const where = found => {
    const inside = found.filter(one => one.inside)
    if (!inside.length) return 'nothing'
    const several = new Set(inside.map(one => [one.y, one.x].join())).size
    return `${several} position${several === 1 ? '' : 's'}, ${span(inside.map(one => one.y), 'row')}, ${span(inside.map(one => one.x), 'column')}`
  }
  if (side === 'output') {
    const read = deformed ? readByPoints(s, first, moved, [i, j]) : readThrough(list, [i, j])
    const beyond = new Set(read.filter(one => !one.inside).map(one => [one.y, one.x].join())).size
    return signed(`Output row ${i}, column ${j}, is ${number(value)}. It ${last.scatter ? 'is reached from' : 'reads'} input ${where(read)}`
      + (beyond ? `, and ${beyond} of the zeros around it.` : '.'))
  }
  const reached = deformed ? reachedByPoints(s, first, moved, [i, j]) : reachedThrough(list, [i, j])
  return signed(`Input row ${i}, column ${j}, is ${number(value)}. It ${first.scatter ? 'is added to' : 'is read by'} output ${where(reached)}.`)
}

// Through all steps: the input positions behind one output, the outputs before one input.
export function readThrough(list, at) {
  return list.reduceRight((found, step) => found.flatMap(one => one.inside ? readBy(step, [one.y, one.x]) : []), [{ y: at[0], x: at[1], inside: true }])
}
export function reachedThrough(list, at) {
  return list.reduce((found, step) => found.flatMap(one => one.inside ? reachedFrom(step, [one.y, one.x]) : []), [{ y: at[0], x: at[1], inside: true }])
}
