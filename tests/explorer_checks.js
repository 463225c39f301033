// Appended to geometry.js by test_explorer.py: what the engine says of a list of settings.

window.examine = text => JSON.stringify(JSON.parse(text).map(s => {
  const answer = { problem: problem(s), torch: torchLine(s) }
  if (answer.problem) return answer
  answer.out = steps(s).at(-1).out
  answer.cost = Object.values(cost(s))
  answer.standard = standard(s)[0]
  answer.standardCost = Object.values(cost(answer.standard))
  answer.field = field(s)
  answer.lines = quantities(s).flatMap(({ lines }) => lines.filter(({ numbers }) => numbers).map(({ numbers, result }) => [numbers, `${result}`]))
  return s.small ? { ...answer, ...through(s) } : answer
}))

// All values of a setting, and what is wrong: a sum that is shown and does not make the
// output, links that differ when they are followed backwards.
function through(s) {
  const list = steps(s), { maps, weights } = layerValues(s), wrong = [], offsets = []
  const deformed = s.variant === 'deformable'
  list.forEach((step, n) => {
    const [H, W] = step.size, [Ho, Wo] = step.out, links = new Set(), back = new Set()
    for (let i = 0; i < Ho; i++) for (let j = 0; j < Wo; j++) {
      for (const { u, v, y, x, inside } of readBy(step, [i, j])) if (inside) links.add([i, j, u, v, y, x].join())
      const taps = deformed ? samples(s, step, {}, [i, j]) : readBy(step, [i, j])
      if (deformed) offsets.push(...taps.map(({ offset }) => offset))
      for (let o = 0; o < step.outputs; o++) {
        let sum = 0
        for (const c of mixedBy(step, o)) {
          if (!mixedInto(step, c).includes(o)) wrong.push(`channels ${c} and ${o}`)
          for (const one of taps) {
            const w = weightOf(step, weights[n], o, c, one.u, one.v)
            if (deformed) sum += w * sampled(maps[0], c, step.size, one.corners)
            else if (one.inside) sum += w * maps[n][(c * H + one.y) * W + one.x]
          }
        }
        if (sum !== maps[n + 1][(o * Ho + i) * Wo + j]) wrong.push(`sum at ${[n, o, i, j]}`)
      }
    }
    for (let y = 0; y < H; y++) for (let x = 0; x < W; x++) {
      for (const one of reachedFrom(step, [y, x])) if (one.inside) back.add([one.y, one.x, one.u, one.v, y, x].join())
    }
    if (links.size !== back.size || [...links].some(link => !back.has(link))) wrong.push(`links of step ${n}`)
  })
  for (const { y, x, inside } of readThrough(list, [0, 0])) {
    const found = inside && reachedThrough(list, [y, x])
    if (found && !found.some(one => one.y === 0 && one.x === 0)) wrong.push(`way back from ${y}, ${x}`)
  }
  return { maps: maps.map(map => [...map]), weights, offsets, counts: counts(list[0]), wrong }
}
