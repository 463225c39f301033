"""``profile``: what it counts, and that it leaves no trace."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from cases import rejects
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from convnotes.costs import Cost
from convnotes.deformable import (
    DeformConv2d,
    DeformConv2dPack,
    deform_conv2d,
    deform_conv2d_cost,
)
from convnotes.depthwise import (
    DepthwiseConv2d,
    depthwise_conv2d,
    depthwise_conv2d_cost,
)
from convnotes.depthwise_separable import (
    DepthwiseSeparableConv2d,
    depthwise_separable_conv2d,
    depthwise_separable_conv2d_cost,
)
from convnotes.dilated import dilated_conv2d
from convnotes.grouped import GroupedConv2d, grouped_conv2d, grouped_conv2d_cost
from convnotes.pointwise import (
    PointwiseConv2d,
    pointwise_conv2d,
    pointwise_conv2d_cost,
)
from convnotes.profiling import Profile, profile
from convnotes.separable import (
    spatially_separable_conv2d,
    spatially_separable_conv2d_cost,
)
from convnotes.standard import conv2d, conv2d_cost
from convnotes.transposed import conv_transpose2d, conv_transpose2d_cost


class Calls(nn.Module):
    """A module whose forward is a function of itself and the inputs; tensors are parameters."""

    def __init__(self, function: Callable[..., Any], **tensors: Tensor) -> None:
        super().__init__()
        self.function = function
        for name, tensor in tensors.items():
            self.register_parameter(name, nn.Parameter(tensor))

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(self, *inputs)


def ones(*shape: int) -> Tensor:
    return torch.ones(shape)


def on_meta(build: Callable[..., nn.Module], *arguments: Any) -> nn.Module:
    with torch.device("meta"):
        return build(*arguments)


def macs_by_torch(module: nn.Module, *shapes: tuple[int, ...]) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*(torch.empty(shape, device="meta") for shape in shapes))
    flops = counter.get_total_flops()
    assert flops % 2 == 0
    return flops // 2


# ---- what is counted: against the cost functions of the package ----

IMAGE = (1, 6, 7, 10)
OPTIONS: dict[str, Any] = {"stride": (2, 1), "padding": (1, 2)}
DILATED = {**OPTIONS, "dilation": (1, 3)}

VARIANTS = [
    (
        lambda m, x: conv2d(x, m.w, m.b, **OPTIONS),
        {"w": ones(4, 6, 3, 2), "b": ones(4)},
        "standard",
        conv2d_cost(6, 4, (3, 2), (7, 10), bias=True, **OPTIONS),
    ),
    (
        lambda m, x: dilated_conv2d(x, m.w, None, **DILATED),
        {"w": ones(4, 6, 3, 2)},
        "dilated",
        grouped_conv2d_cost(6, 4, (3, 2), (7, 10), **DILATED),
    ),
    (
        lambda m, x: depthwise_conv2d(x, m.w, m.b, **DILATED),
        {"w": ones(12, 1, 3, 2), "b": ones(12)},
        "depthwise",
        depthwise_conv2d_cost(
            6, (3, 2), (7, 10), channel_multiplier=2, bias=True, **DILATED
        ),
    ),
    (
        lambda m, x: pointwise_conv2d(x, m.w, m.b, stride=(2, 3)),
        {"w": ones(4, 6, 1, 1), "b": ones(4)},
        "pointwise",
        pointwise_conv2d_cost(6, 4, (7, 10), stride=(2, 3), bias=True),
    ),
    (
        lambda m, x: grouped_conv2d(x, m.w, groups=3, **DILATED),
        {"w": ones(9, 2, 3, 2)},
        "grouped",
        grouped_conv2d_cost(6, 9, (3, 2), (7, 10), groups=3, **DILATED),
    ),
    (
        lambda m, x: conv_transpose2d(x, m.w, m.b, (2, 3), 1, (1, 2), 2),
        {"w": ones(6, 4, 3, 2), "b": ones(8)},
        "transposed",
        conv_transpose2d_cost(
            6,
            8,
            (3, 2),
            (7, 10),
            stride=(2, 3),
            padding=1,
            output_padding=(1, 2),
            groups=2,
            bias=True,
        ),
    ),
    (
        lambda m, x: deform_conv2d(
            x,
            x.new_zeros(1, 24, 4, 11),
            m.w,
            m.b,
            mask=x.new_zeros(1, 12, 4, 11),
            **DILATED,
        ),
        {"w": ones(4, 3, 3, 2), "b": ones(4)},
        "deformable",
        deform_conv2d_cost(
            *(6, 4, (3, 2), (7, 10)),
            **DILATED,
            groups=2,
            offset_groups=2,
            modulated=True,
            bias=True,
        ),
    ),
    (
        lambda m, x: spatially_separable_conv2d(x, m.c, m.r, m.b, **OPTIONS),
        {"c": ones(5, 6, 3, 1), "r": ones(4, 5, 1, 2), "b": ones(4)},
        "spatially separable",
        spatially_separable_conv2d_cost(
            6, 4, (3, 2), (7, 10), mid_channels=5, bias=True, **OPTIONS
        ),
    ),
    (
        lambda m, x: depthwise_separable_conv2d(x, m.d, m.p, m.b, **DILATED),
        {"d": ones(12, 1, 3, 2), "p": ones(4, 12, 1, 1), "b": ones(4)},
        "depthwise separable",
        depthwise_separable_conv2d_cost(
            6, 4, (3, 2), (7, 10), channel_multiplier=2, bias=True, **DILATED
        ),
    ),
]


@pytest.mark.parametrize(("call", "tensors", "kind", "cost"), VARIANTS)
def test_functions_of_the_package_have_the_cost_that_they_state(
    call: Any, tensors: dict[str, Tensor], kind: str, cost: Cost
) -> None:
    module = Calls(call, **tensors)
    found = profile(module, IMAGE)
    (row,) = found.rows
    assert (row.name, row.kind, row.input_shape, row.cost) == (
        "Calls",
        kind,
        IMAGE,
        cost,
    )
    assert row.output_shape == module(ones(*IMAGE)).shape
    assert found.other_params == {}
    assert found.not_counted == {}


@pytest.mark.parametrize(
    ("layer", "cost"),
    [
        (
            GroupedConv2d(6, 4, 3, groups=2),
            grouped_conv2d_cost(6, 4, 3, (7, 10), groups=2, bias=True),
        ),
        (DepthwiseConv2d(6, 3), depthwise_conv2d_cost(6, 3, (7, 10), bias=True)),
        (PointwiseConv2d(6, 4), pointwise_conv2d_cost(6, 4, (7, 10), bias=True)),
        (nn.Conv2d(6, 4, 3), conv2d_cost(6, 4, 3, (7, 10), bias=True)),
    ],
)  # fmt: skip
def test_layers_have_the_cost_of_their_function(layer: nn.Module, cost: Cost) -> None:
    (row,) = profile(layer, IMAGE).rows
    assert row.cost == cost
    assert row.name == type(layer).__name__


def test_a_layer_of_two_layers_is_two_rows() -> None:
    layer = DepthwiseSeparableConv2d(6, 4, 3, padding=1)
    found = profile(nn.ModuleDict({"one": layer})["one"], IMAGE)
    assert [(row.name, row.kind) for row in found.rows] == (
        [("depthwise", "depthwise"), ("pointwise", "pointwise")]
    )
    cost = depthwise_separable_conv2d_cost(6, 4, 3, (7, 10), padding=1, bias=True)
    assert sum((row.cost for row in found.rows), Cost()) == cost


def test_a_deformable_layer_and_the_layer_of_its_offsets() -> None:
    layer = DeformConv2dPack(6, 4, 3, padding=1, offset_groups=2, modulated=True)
    found = profile(nn.Sequential(layer), (2, *IMAGE[1:]))
    assert [(row.name, row.kind) for row in found.rows] == (
        [("0.conv_offset", "standard"), ("0", "deformable")]
    )
    options: dict[str, Any] = {"padding": 1, "bias": True}
    offsets = conv2d_cost(6, 54, 3, (7, 10), **options)
    itself = deform_conv2d_cost(
        6, 4, 3, (7, 10), offset_groups=2, modulated=True, **options
    )
    assert [row.cost.macs // 2 for row in found.rows] == [offsets.macs, itself.macs]
    assert [row.cost.params for row in found.rows] == [offsets.params, itself.params]
    assert found.other_params == {}
    alone = profile(DeformConv2d(6, 4, 3), [IMAGE, (1, 18, 5, 8)])
    assert alone.rows[0].cost == deform_conv2d_cost(6, 4, 3, (7, 10), bias=True)
    assert alone.rows[0].input_shape == IMAGE


@given(st.data())
def test_a_convolution_has_the_shape_of_the_real_one(data: st.DataObject) -> None:
    axes, transposed = data.draw(st.integers(1, 3)), data.draw(st.booleans())
    each = st.lists(st.integers(1, 3), min_size=axes, max_size=axes).map(tuple)
    groups = data.draw(st.integers(1, 3))
    C_in, C_out = (groups * data.draw(st.integers(1, 2)) for _ in "io")
    kernel, stride, dilation = (data.draw(each) for _ in "ksd")
    bias = data.draw(st.booleans())
    padding: Any = data.draw(st.integers(0, 1))
    options = {"stride": stride, "dilation": dilation, "groups": groups, "bias": bias}
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    kind = getattr(nn, kind.__name__.replace("2d", f"{axes}d"))
    if transposed:
        room = [max(s, d) - 1 for s, d in zip(stride, dilation, strict=True)]
        options["output_padding"] = tuple(min(one, 1) for one in room)
    elif set(stride) == {1}:
        padding = data.draw(st.sampled_from([1, "same", "valid"]))
    layer = kind(C_in, C_out, kernel, padding=padding, **options)
    batch = data.draw(st.sampled_from([(), (2,)]))
    shape = (*batch, C_in, *(7 + axis for axis in range(axes)))
    (row,) = profile(layer, shape).rows
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using padding='same'")
        output = layer(torch.ones(shape))
    assert row.output_shape == output.shape
    assert row.cost.macs == macs_by_torch(layer.to("meta"), shape)
    assert row.cost.params == sum(p.numel() for p in layer.parameters())


# ---- what is counted: however it is called ----


def _mm(x: Tensor, w: Tensor) -> Tensor:
    return torch.mm(x, w)


def script(what: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.script(what)


scripted = script(_mm)


def inference(x: Tensor, w: Tensor) -> Tensor:
    with torch.inference_mode():
        return torch.matmul(x, w)


ATTENTION = "scaled_dot_product_attention"
WAYS: list[tuple[str, Any, dict[str, Tensor], int]] = [
    ("matmul", lambda m, x: x @ m.w, {"w": ones(5, 3)}, 4 * 2 * 5 * 3),
    ("matmul", lambda m, x: x @ x.mT, {}, 4 * 2 * 2 * 5),
    ("matmul", lambda m, x: torch.matmul(x, m.w), {"w": ones(5)}, 4 * 2 * 5),
    ("bmm", lambda m, x: torch.bmm(x, x.mT), {}, 4 * 2 * 2 * 5),
    ("mm", lambda m, x: x[0].mm(m.w), {"w": ones(5, 3)}, 2 * 5 * 3),
    ("addmm", lambda m, x: torch.addmm(m.b, x[0], m.w), {"b": ones(3), "w": ones(5, 3)}, 30),
    ("baddbmm", lambda m, x: torch.baddbmm(m.b, x, x.mT), {"b": ones(2)}, 4 * 2 * 2 * 5),
    ("addbmm", lambda m, x: torch.addbmm(m.b, x, x.mT), {"b": ones(2)}, 4 * 2 * 2 * 5),
    ("mv", lambda m, x: x[0].mv(m.w), {"w": ones(5)}, 10),
    ("dot", lambda m, x: torch.dot(x[0, 0], x[0, 1]), {}, 5),
    ("einsum", lambda m, x: torch.einsum("nij,jk->nik", x, m.w), {"w": ones(5, 3)}, 120),
    ("einsum", lambda m, x: torch.einsum("nij,nij->n", x, x), {}, 40),
    ("tensordot", lambda m, x: torch.tensordot(x, m.w, 1), {"w": ones(5, 3)}, 120),
    ("linear", lambda m, x: F.linear(x, m.w), {"w": ones(3, 5)}, 120),
    ("linear", lambda m, x: torch.vmap(lambda one: F.linear(one, m.w))(x), {"w": ones(3, 5)}, 120),
    (ATTENTION, lambda m, x: F.scaled_dot_product_attention(x, x, x), {}, 160),
    (ATTENTION, lambda m, x: F.scaled_dot_product_attention(x, x, x, is_causal=True), {}, 160),
    ("multi_head_attention_forward", lambda m, x: m.attention(x, x, x), {}, 0),
    ("lstm", lambda m, x: m.recurrent(x), {}, 8 * (5 * 12 + 3 * 12)),
    ("mm", lambda m, x: torch.ops.aten.mm(x[0], m.w), {"w": ones(5, 3)}, 30),
    ("mm", lambda m, x: scripted(x[0], m.w), {"w": ones(5, 3)}, 30),
    ("matmul", lambda m, x: inference(x, m.w), {"w": ones(5, 3)}, 120),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "call", "tensors", "macs"), WAYS)
def test_products_are_counted_however_they_are_called(
    kind: str, call: Any, tensors: dict[str, Tensor], macs: int
) -> None:
    module = Calls(call, **tensors)
    if kind == "multi_head_attention_forward":
        module.attention = nn.MultiheadAttention(5, 1)
        macs = macs_by_torch(module.to("meta"), (4, 2, 5))
    if kind == "lstm":
        module.recurrent = nn.LSTM(5, 3)
    found = profile(module, (4, 2, 5))
    assert [row.kind for row in found.rows] == [kind]
    assert found.macs == macs
    assert found.other_params == {}
    assert found.rows[0].cost.params == sum(p.numel() for p in module.parameters())


FUNCTIONAL: list[tuple[str, Any, dict[str, Tensor], Cost]] = [
    (
        "grouped",
        lambda m, x: F.conv2d(x, weight=m.w, groups=3, padding="same"),
        {"w": ones(9, 2, 3, 3)},
        grouped_conv2d_cost(6, 9, 3, (7, 10), padding=1, groups=3),
    ),
    (
        "transposed",
        lambda m, x: F.conv_transpose2d(x, m.w, stride=2, output_padding=1, groups=2),
        {"w": ones(6, 2, 3, 3)},
        conv_transpose2d_cost(6, 4, 3, (7, 10), stride=2, output_padding=1, groups=2),
    ),
    (
        "linear",
        lambda m, x: F.linear(x.permute(0, 2, 3, 1), m.w, m.b),
        {"w": ones(4, 6), "b": ones(4)},
        pointwise_conv2d_cost(6, 4, (7, 10), bias=True),
    ),
]


@pytest.mark.parametrize(("kind", "call", "tensors", "cost"), FUNCTIONAL)
def test_functional_layers(
    kind: str, call: Any, tensors: dict[str, Tensor], cost: Cost
) -> None:
    (row,) = profile(Calls(call, **tensors), IMAGE).rows
    assert (row.kind, row.cost) == (kind, cost)


class Standardised(nn.Conv2d):
    """A subclass whose weight is computed, and whose input is padded by hand."""

    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return F.conv2d(F.pad(input, (1, 2, 0, 1)), weight, self.bias, self.stride)


def test_a_subclass_counts_as_it_computes() -> None:
    found = profile(Standardised(6, 4, 3, stride=2, padding=5), IMAGE)
    cost = conv2d_cost(6, 4, 3, (8, 13), stride=2, bias=True)
    assert [(row.kind, row.cost) for row in found.rows] == [("standard", cost)]


def test_parametrised_weights_are_the_layers() -> None:
    layer = nn.utils.parametrizations.weight_norm(nn.Conv2d(6, 4, 3))
    (row,) = profile(layer, IMAGE).rows
    assert row.cost.params == 4 * 6 * 3 * 3 + 4 + 4
    assert row.cost.macs == conv2d_cost(6, 4, 3, (7, 10)).macs


def test_a_shared_layer_has_its_parameters_once_and_its_macs_each_time() -> None:
    layer = nn.Conv2d(6, 6, 3, padding=1)
    found = profile(nn.Sequential(layer, nn.ReLU(), layer), IMAGE)
    assert [row.name for row in found.rows] == ["0", "0"]
    assert [row.cost.params for row in found.rows] == [330, 0]
    assert found.rows[0].cost.macs == found.rows[1].cost.macs == 22680
    assert found.rows[0].cost.elements_moved == found.rows[1].cost.elements_moved
    assert found.params == 330


def test_a_tied_weight_counts_once() -> None:
    module = Calls(lambda m, x: F.linear(F.linear(x, m.w), m.w.T), w=ones(4, 6))
    assert profile(module, (5, 6)).params == 24
    two = nn.Sequential(nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False))
    two[1].weight = two[0].weight
    assert profile(two, (5, 6)).params == 36


def test_parameters_in_no_row_and_calls_not_counted_are_listed() -> None:
    module = nn.Sequential(
        nn.BatchNorm2d(6), nn.LeakyReLU(), nn.Conv2d(6, 4, 1), nn.Softmax(1), nn.Bilinear(3, 4, 2)
    )  # fmt: skip
    found = profile(module[:4], IMAGE)
    assert found.other_params == {"BatchNorm2d": 12}
    assert found.not_counted == {"batch_norm": 1, "leaky_relu": 1, "softmax": 1}
    found = profile(module[4], [(5, 3), (5, 4)])
    assert (found.rows, found.not_counted) == ((), {"bilinear": 1})
    assert found.params == 26


def test_layers_that_are_never_called_have_their_parameters_counted() -> None:
    module = nn.Sequential(nn.Linear(6, 4))
    module[0].register_module("unused", nn.Linear(2, 3))
    found = profile(module, (6,))
    assert found.other_params == {"Linear": 9}
    assert found.params == 28 + 9


def test_a_batch_and_an_image_without_one() -> None:
    layer = nn.Conv2d(6, 4, 3)
    (two,), (one,) = (
        profile(layer, (2, *IMAGE[1:])).rows,
        profile(layer, IMAGE[1:]).rows,
    )
    assert one.cost == conv2d_cost(6, 4, 3, (7, 10), bias=True)
    assert (one.input_shape, one.output_shape) == ((6, 7, 10), (4, 5, 8))
    assert two.cost.macs == 2 * one.cost.macs
    params = one.cost.params
    moved = 2 * (one.cost.elements_moved - params) + params
    assert (two.cost.params, two.cost.elements_moved) == (params, moved)


def test_several_inputs() -> None:
    module = Calls(
        lambda m, x, y: F.conv2d(x, m.w) + F.conv2d(y, m.w), w=ones(4, 6, 1, 1)
    )
    found = profile(module, [IMAGE, (1, 6, 7, 1)])
    assert [row.input_shape for row in found.rows] == [IMAGE, (1, 6, 7, 1)]


def test_names_are_those_of_the_calling_modules() -> None:
    inner = Calls(lambda m, x: m.layer(F.conv2d(x, m.w)), w=ones(6, 6, 1, 1))
    inner.layer = nn.Conv2d(6, 2, 1)
    rows = profile(nn.Sequential(nn.Identity(), nn.Sequential(inner)), IMAGE).rows
    assert [row.name for row in rows] == ["1.0", "1.0.layer"]


def test_half_precision_and_a_mask_with_values() -> None:
    assert profile(nn.Linear(6, 4).half(), (6,)).macs == 24
    module = Calls(lambda m, x: x[:, m.keep] @ m.w, w=ones(2, 3))
    module.register_buffer("keep", torch.tensor([True, False, True]))
    assert profile(module, (5, 3)).macs == 5 * 2 * 3


def test_what_is_made_or_moved_on_the_way_goes_to_the_meta_device() -> None:
    def call(m: Any, x: Tensor) -> Tensor:
        made = torch.arange(3, device=m.w.device), torch.zeros(3), torch.randn(3)
        assert all(one.is_meta for one in made)
        row = sum(made)
        return (x.to(m.w.device).cpu() + row) @ m.w.to(x.dtype)

    assert profile(Calls(call, w=ones(3, 2)), (5, 3)).macs == 30


def test_whole_numbers_for_an_embedding() -> None:
    module = nn.Sequential(nn.Embedding(10, 6), nn.Linear(6, 4))
    found = profile(module, (2, 5), dtype=torch.long)
    assert (found.macs, found.other_params) == (240, {"Embedding": 60})
    with rejects(TypeError, "dtype='long'"):
        profile(module, (2, 5), dtype="long")  # type: ignore[arg-type]


# ---- it leaves no trace ----


class Careless(nn.Module):
    """Does to itself, and to what is global, all that a forward should not."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(6, 6, 3)
        self.norm = nn.BatchNorm2d(6)
        self.register_buffer("mean", torch.zeros(6))
        self.calls: int = 0

    def forward(self, input: Tensor) -> Tensor:
        self.calls += 1
        self.kept = input
        self.mean.mul_(2).add_(1)
        self.mean = self.mean + 1
        self.layer.weight.data.zero_()
        self.layer.extra = nn.Linear(2, 2)
        self.layer.train(not self.training)
        torch.manual_seed(3)
        output = self.norm(self.layer(input)) * torch.rand(1)
        if input.shape[-1] == 4:
            raise RuntimeError("too narrow")
        return output


@pytest.mark.parametrize("width", [10, 4])
@pytest.mark.parametrize("training", [True, False])
def test_the_module_is_left_as_it_was_also_when_it_raises(
    width: int, training: bool
) -> None:
    module = Careless().train(training)
    module.layer.weight.grad = torch.ones_like(module.layer.weight)
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    values = {name: tensor.clone() for name, tensor in tensors.items()}
    attributes = {name: dict(vars(each)) for name, each in module.named_modules()}
    grad, random = module.layer.weight.grad, torch.get_rng_state()
    if width == 4:
        with rejects(
            ValueError, "(1, 6, 7, 4)", "Careless raised RuntimeError: too narrow"
        ):
            profile(module, (1, 6, 7, width))
    else:
        profile(module, (1, 6, 7, width))
    after = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    assert after.keys() == tensors.keys()
    assert all(after[name] is tensors[name] for name in tensors)
    assert all(torch.equal(after[name], values[name]) for name in tensors)
    assert {name: vars(each) for name, each in module.named_modules()} == attributes
    assert module.layer.weight.grad is grad
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.is_grad_enabled()
    assert module.training is training
    assert torch.overrides._get_current_function_mode_stack() == []
    assert module.eval()(ones(1, 6, 7, 10)).shape == (1, 6, 5, 8)


def test_nothing_is_computed_and_no_weight_is_copied() -> None:
    layer = nn.Linear(10**6, 10**6, bias=False, device="meta")  # 4 TB
    assert profile(layer, (1, 10**6)).macs == 10**12
    real = nn.Linear(3, 2)
    with torch.profiler.profile() as seen:
        profile(nn.Sequential(real, nn.Softmax(-1)), (5, 3))
    assert not any(
        "mm" in event.name or "copy" in event.name for event in seen.events()
    )


def test_it_works_within_inference_mode_and_with_deterministic_algorithms() -> None:
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("error")
    try:
        with torch.inference_mode():
            assert profile(nn.Linear(3, 2), (5, 3)).macs == 30
    finally:
        torch.set_deterministic_debug_mode(before)


# ---- what is refused ----


@pytest.mark.parametrize(
    ("module", "shape", "error", "said"),
    [
        (torch.relu, (1, 3), TypeError, "expected an nn.Module"),
        (nn.Linear, (1, 3), TypeError, "module is a type"),
        (script(nn.Linear(3, 2)), (1, 3), TypeError, "not scripted"),
        (nn.Linear(3, 2), 3, TypeError, "input_shape=3"),
        (nn.Linear(3, 2), "13", TypeError, "input_shape='13'"),
        (nn.Linear(3, 2), (), ValueError, "input_shape=()"),
        (nn.Linear(3, 2), (1, (3,)), ValueError, "input_shape=(1, (3,))"),
        (nn.Linear(3, 2), (1, 0), ValueError, "input_shape=0"),
        (nn.Linear(3, 2), (1.0, 3), TypeError, "input_shape=1.0"),
        (nn.Linear(3, 2), (True, 3), TypeError, "input_shape=True"),
        (nn.LazyLinear(2), (1, 3), ValueError, "not initialised"),
        (nn.Linear(3, 2), (1, 4), ValueError, "expected 3 as its last size"),
        (nn.Linear(3, 2), [(1, 3), (1, 3)], ValueError, "Linear raised TypeError"),
        (nn.Conv2d(3, 2, 9), (3, 5, 12), ValueError, "kernel_size=9"),
        (nn.ConvTranspose2d(3, 2, 1), (4, 5, 6), ValueError, "expected 3 channels"),
        (nn.Conv2d(3, 2, 3), (3, 5), ValueError, "Conv2d raised RuntimeError"),
        (nn.BatchNorm2d(4), (1, 3, 5, 6), ValueError, "BatchNorm2d raised RuntimeError"),
        (nn.LayerNorm(4), (1, 3), ValueError, "LayerNorm raised RuntimeError"),
        (nn.Sequential(nn.ReLU(), nn.Conv2d(5, 2, 1)), (1, 3, 4, 5), ValueError,
         "1 raised ValueError: input of shape (1, 3, 4, 5): expected 5 channels"),
        (Calls(lambda m, x: x if x.sum() > 0 else -x), (1, 3), ValueError, "meta"),
        (Calls(lambda m, x: grouped_conv2d(x, m.w), w=ones(2, 3, 1, 1)), (1, 4, 5, 6),
         ValueError, "expected (C_out, 4, K_h, K_w)"),
        (Calls(lambda m, x: conv2d(x, m.w), w=ones(2, 3, 1, 1)), (3,),
         ValueError, "input of shape (3,)"),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(
    module: Any, shape: Any, error: type[Exception], said: str
) -> None:
    with rejects(error, said):
        profile(module, shape)


def test_a_module_may_catch_what_it_raises() -> None:
    def call(m: Any, x: Tensor) -> Tensor:
        try:
            return grouped_conv2d(x, m.w)
        except ValueError:
            return F.conv2d(x, m.w[:, :1])

    found = profile(Calls(call, w=ones(2, 3, 1, 1)), (1, 1, 4, 5))
    assert [row.cost.macs for row in found.rows] == [40]


# ---- the report ----


def test_the_report_prints_converts_and_draws() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 2, 1))
    found = profile(module, (1, 3, 6, 7))
    assert str(found) == repr(found)
    assert str(found).splitlines() == [
        "name   kind       input    output   params   MACs",
        "0      standard   1×3×6×7  1×8×4×5     224  4,320",
        "2      pointwise  1×8×4×5  1×2×4×5      18    320",
        "total                                  258  4,640",
        "parameters in no row: 16 in BatchNorm2d",
        "called and not counted: batch_norm (1)",
    ]
    assert found.to_dicts()[1] == {
        "name": "2",
        "kind": "pointwise",
        "input_shape": (1, 8, 4, 5),
        "output_shape": (1, 2, 4, 5),
        "params": 18,
        "macs": 320,
        "elements_moved": 160 + 18 + 40,
    }
    assert found.by_kind()["pointwise"] == found.rows[1].cost
    upper, lower = found.draw().axes
    assert [bar.get_height() for bars in upper.containers for bar in bars] == [
        4320,
        320,
    ]
    assert [bar.get_height() for bars in lower.containers for bar in bars] == [224, 18]


def test_a_report_without_rows_prints_and_draws() -> None:
    found = profile(nn.ReLU(), (3,))
    assert isinstance(found, Profile)
    assert (found.params, found.macs, found.by_kind()) == (0, 0, {})
    assert "called and not counted: relu (1)" in str(found)
    assert len(found.draw().axes) == 2


class Grows(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = torch.ones(3, 1, 1)
        total += x
        return total


def test_a_sum_in_place_that_does_not_fit_is_torchs_error() -> None:
    with rejects(ValueError, "Grows raised RuntimeError: output with shape"):
        profile(Grows(), (1, 3, 8, 8))
