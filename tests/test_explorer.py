"""The figure's arithmetic is the package's: thousands of settings, compared in a browser."""

import json
import random
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from browsers import chromium
from cases import both
from torch import Tensor, nn

from convnotes import deformable
from convnotes.costs import Cost
from convnotes.depthwise import depthwise_conv2d, depthwise_conv2d_cost
from convnotes.depthwise_separable import (
    depthwise_separable_conv2d,
    depthwise_separable_conv2d_cost,
)
from convnotes.dilated import dilated_conv2d
from convnotes.explorer import explore
from convnotes.explorer.page import joined, variants
from convnotes.grouped import grouped_conv2d, grouped_conv2d_cost
from convnotes.pointwise import pointwise_conv2d, pointwise_conv2d_cost
from convnotes.receptive_field import Window, receptive_field, sampled_positions
from convnotes.separable import (
    spatially_separable_conv2d,
    spatially_separable_conv2d_cost,
)
from convnotes.standard import conv2d, conv2d_cost
from convnotes.transposed import conv_transpose2d, conv_transpose2d_cost

Settings = dict[str, Any]
Answers = dict[str, list[tuple[Settings, dict[str, Any]]]]
VARIANTS: list[str] = list(variants()["variants"])
EACH = 400  # settings of each variant
COMPUTED = 24  # of them, small ones, also computed through


def random_settings(variant: str, chance: random.Random, small: bool) -> Settings:
    """Any position of the variant's knobs, rows and columns apart; it may have no output."""
    described = variants()["variants"][variant]
    found: Settings = {"variant": variant, "small": small}
    for name in described["knobs"]:
        knob = variants()["knobs"][name]
        most = described.get("max", {}).get(name, knob["max"])
        if small:
            most = min(most, {"input_size": 6, "kernel_size": 3}.get(name, 3))
        values = [chance.randint(knob["min"], most) for _ in range(2)]
        found[name] = values if knob.get("pair") else values[0]
    if "groups" in found:
        found["groups"] = chance.randint(1, 2 if small else 4)
        for name in ("in_channels", "out_channels"):
            found[name] = found["groups"] * chance.randint(1, 2)
    return found


@pytest.fixture(scope="module")
def answers() -> Answers:
    """Ask the engine, in a browser, about random settings of all variants."""
    chance = random.Random(6)
    asked = [
        random_settings(variant, chance, small)
        for variant in VARIANTS
        for small in [False] * EACH + [True] * COMPUTED
    ]
    checks = Path(__file__).with_name("explorer_checks.js").read_text("utf-8")
    with chromium() as browser:
        page = browser.new_page()
        page.add_script_tag(type="module", content=joined("geometry.js") + checks)
        page.wait_for_function("!!window.examine")
        found = json.loads(page.evaluate("examine", json.dumps(asked)))
    return {
        variant: [
            (settings, answer)
            for settings, answer in zip(asked, found, strict=True)
            if settings["variant"] == variant
        ]
        for variant in VARIANTS
    }


def options(settings: Settings, *names: str) -> Settings:
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in settings.items()
        if name in names
    }


def package_cost(s: Settings) -> Cost:
    how = options(
        s,
        "stride",
        "padding",
        "output_padding",
        "dilation",
        "groups",
        "channel_multiplier",
    )
    sizes = options(s, "kernel_size", "input_size")
    across = options(s, "in_channels", "out_channels")
    match s["variant"]:
        case "transposed":
            return conv_transpose2d_cost(**across, **sizes, **how)
        case "separable":
            mid = s["mid_channels"]
            return spatially_separable_conv2d_cost(
                **across, **sizes, **how, mid_channels=mid
            )
        case "depthwise":
            return depthwise_conv2d_cost(**across, **sizes, **how)
        case "pointwise":
            return pointwise_conv2d_cost(**across, **sizes, **how)
        case "depthwise_separable":
            return depthwise_separable_conv2d_cost(**across, **sizes, **how)
        case "grouped":
            return grouped_conv2d_cost(**across, **sizes, **how)
        case "deformable":
            return deformable.deform_conv2d_cost(**across, **sizes, **how)
    return conv2d_cost(**across, **sizes, **options(s, "stride", "padding", "dilation"))


def numbers(cost: Cost) -> list[int]:
    return [cost.params, cost.macs, cost.elements_moved]


def layer_windows(s: Settings) -> list[Window]:
    layer = Window(
        **{"kernel_size": (1, 1)}
        | options(s, "kernel_size", "stride", "padding", "dilation")
    )
    if s["variant"] == "depthwise_separable":
        return [layer, Window((1, 1))]
    if s["variant"] == "separable":
        (K_h, K_w), (S_h, S_w), (P_h, P_w) = map(both, layer[:3])
        return [
            Window((K_h, 1), (S_h, 1), (P_h, 0)),
            Window((1, K_w), (1, S_w), (0, P_w)),
        ]
    return [layer]


@pytest.mark.parametrize("variant", VARIANTS)
def test_sizes_costs_and_fields_are_the_packages(
    variant: str, answers: Answers
) -> None:
    known, with_output = variants()["variants"][variant]["knobs"], 0
    for settings, answer in answers[variant]:
        given = {name: value for name, value in settings.items() if name in known}
        try:
            output_size = explore(variant, **given).output_size
        except ValueError:
            assert answer["problem"], settings
            continue
        assert not answer["problem"], settings
        with_output += 1
        assert tuple(answer["out"]) == output_size, settings
        assert answer["cost"] == numbers(package_cost(settings)), settings
        assert answer["standardCost"] == numbers(package_cost(answer["standard"]))
        if variant != "transposed":
            field = receptive_field(layer_windows(settings))
            reads = sampled_positions(layer_windows(settings))
            assert [both(part) for part in field] == [
                tuple(answer["field"][name]) for name in ("size", "stride", "padding")
            ], settings
            assert answer["field"]["read"] == [len(axis) for axis in reads]  # type: ignore[arg-type]
    assert with_output > EACH / 2


def test_a_formula_with_its_numbers_makes_the_number_beside_it(
    answers: Answers,
) -> None:
    written = {
        (formula, result)
        for pairs in answers.values()
        for _, answer in pairs
        for formula, result in answer.get("lines", [])
    }
    assert len(written) > 1000
    python = str.maketrans({"·": "*", "−": "-", "⌊": "(", ",": None})
    for formula, result in written:
        code = formula.translate(python)
        if "⌊" in formula:
            code = code.replace("/", "//").replace("⌋", ")")
        computed = eval(code)
        assert computed == pytest.approx(float(result), rel=0.06, abs=0.006), formula
        exact = formula.count("/") != 1 or "⌊" in formula or "(" in formula
        assert not exact or computed == int(result), formula


def layer_output(
    s: Settings, maps: list[Tensor], weights: list[Tensor], offset: Tensor
) -> Tensor:
    """Compute the layer by the package's operator."""
    x, w, how = maps[0], weights[0], options(s, "stride", "padding")
    spread = options(s, "dilation")
    match s["variant"]:
        case "standard":
            return conv2d(x, w, **how)
        case "dilated":
            return dilated_conv2d(x, w, **how, **spread)
        case "transposed":
            more = options(s, "output_padding", "groups")
            return conv_transpose2d(x, w, **how, **spread, **more)
        case "separable":
            return spatially_separable_conv2d(x, w, weights[1], **how)
        case "depthwise":
            return depthwise_conv2d(x, w, **how, **spread)
        case "pointwise":
            return pointwise_conv2d(x, w, **how)
        case "depthwise_separable":
            return depthwise_separable_conv2d(x, w, weights[1], **how, **spread)
        case "grouped":
            return grouped_conv2d(x, w, **how, **spread, **options(s, "groups"))
    return deformable.deform_conv2d(x, offset, w, **how, **spread)


def weight_shapes(s: Settings) -> list[tuple[int, ...]]:
    C_in, C_out = s["in_channels"], s.get("out_channels", 0)
    K = s.get("kernel_size", [1, 1])
    G, M = s.get("groups", 1), s.get("channel_multiplier", 1)
    mid = s.get("mid_channels", 0)
    return {
        "transposed": [(C_in, C_out // G, *K)],
        "separable": [(mid, C_in, K[0], 1), (C_out, mid, 1, K[1])],
        "depthwise": [(C_in * M, 1, *K)],
        "depthwise_separable": [(C_in * M, 1, *K), (C_out, C_in * M, 1, 1)],
    }.get(s["variant"], [(C_out, C_in // G, *K)])


@pytest.mark.parametrize("variant", VARIANTS)
def test_values_are_the_operators_and_the_sums_shown_add_up_to_them(
    variant: str, answers: Answers
) -> None:
    computed = [pair for pair in answers[variant] if "maps" in pair[1]]
    assert len(computed) > COMPUTED / 4
    for s, answer in computed:
        assert answer["wrong"] == [], s
        size, out = s["input_size"], answer["out"]
        x = torch.tensor(answer["maps"][0]).double().reshape(1, s["in_channels"], *size)
        weights = [
            torch.tensor(flat).double().reshape(shape)
            for flat, shape in zip(answer["weights"], weight_shapes(s), strict=True)
        ]
        # (i, j, tap, [dy, dx]) as torchvision has it: (1, 2 * taps, i, j)
        offset = torch.tensor(answer["offsets"]).double()
        if variant == "deformable":
            offset = offset.reshape(*out, -1).permute(2, 0, 1)[None]
        output = layer_output(s, [x], weights, offset)
        shown = torch.tensor(answer["maps"][-1]).reshape(output.shape)
        assert torch.equal(shown, output), s


@pytest.mark.parametrize("variant", ["standard", "dilated", "transposed"])
def test_counts_say_how_often_a_pixel_is_read_or_written_to(
    variant: str, answers: Answers
) -> None:
    for s, answer in answers[variant]:
        if "counts" not in answer:
            continue
        x = torch.ones(1, 1, *s["input_size"], dtype=torch.float64, requires_grad=True)
        ones = torch.ones(1, 1, *s["kernel_size"], dtype=torch.float64)
        output = layer_output(s | {"groups": 1}, [x], [ones], x)
        if variant != "transposed":
            output.sum().backward()
            assert x.grad is not None
            output = x.grad
        assert output[0, 0].tolist() == answer["counts"], s


def test_the_line_of_pytorch_makes_the_layer(
    answers: Answers,
) -> None:
    class Torchvision:  # its layer is not installed everywhere, the package's is the same
        ops = deformable

    for pairs in answers.values():
        for s, answer in pairs[:40]:
            if answer["problem"]:
                continue
            with torch.device("meta"):
                layer: nn.Module = eval(
                    answer["torch"], {"nn": nn, "torchvision": Torchvision}
                )
                arguments = [torch.empty(1, s["in_channels"], *s["input_size"])]
                if s["variant"] == "deformable":
                    taps = prod(s["kernel_size"])
                    arguments.append(torch.empty(1, 2 * taps, *answer["out"]))
            weights = [tuple(weight.shape) for weight in layer.parameters()]
            assert weights == weight_shapes(s), answer["torch"]
            if s["variant"] != "deformable":
                output = layer(*arguments)
                assert list(output.shape[2:]) == answer["out"], answer["torch"]
