"""The receptive field is what gradients say it is, and what was published."""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cases import bad_pairs, both, each, int_or_pair, rejects
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from convnotes.matrices import as_matrix
from convnotes.receptive_field import (
    ReceptiveField,
    Transparent,
    Window,
    measured_receptive_field,
    receptive_field,
    sampled_positions,
)

windows = st.builds(
    Window,
    kernel_size=int_or_pair(1, 3),
    stride=int_or_pair(1, 2),
    padding=int_or_pair(0, 2),
    dilation=int_or_pair(1, 2),
)
stacks = st.lists(windows, min_size=1, max_size=3)


def pixels_seen(
    stack: list[Window], image_size: tuple[int, int], position: tuple[int, int]
) -> list[tuple[int, int]]:
    """First and last row, first and last column whose pixels change the output at ``position``.

    Through weights that are all positive no influence cancels.
    """
    generator = torch.Generator().manual_seed(0)
    image = torch.zeros(1, 1, *image_size, dtype=torch.float64, requires_grad=True)
    features = image
    for window in stack:
        weight = (
            0.5
            + torch.rand(1, 1, *both(window.kernel_size), generator=generator).double()
        )
        features = F.conv2d(features, weight, None, *window[1:])
    (gradient,) = torch.autograd.grad(features[0, 0][position], image)
    rows_and_columns = gradient[0, 0].nonzero(as_tuple=True)
    return [(int(seen.min()), int(seen.max())) for seen in rows_and_columns]


@given(stacks, st.booleans())
def test_it_is_what_gradients_measure(stack: list[Window], next_one: bool) -> None:
    """Output i sees the ``size`` pixels from ``stride * i - padding``.

    Tried on the first output whose field is all inside the image, and on the one after it,
    so that the distance between two fields is measured too.
    """
    size, stride, padding = map(both, receptive_field(stack))
    position = tuple(
        -(-p // s) + next_one for p, s in zip(padding, stride, strict=True)
    )
    fields = [
        (s * i - p, s * i - p + extent - 1)
        for s, i, p, extent in zip(stride, position, padding, size, strict=True)
    ]
    height, width = (
        last + 1 for _, last in fields
    )  # the image ends where the field does
    assert pixels_seen(stack, (height, width), (position[0], position[1])) == fields


@given(stacks, stacks)
def test_a_stack_is_as_good_as_one_layer(
    below: list[Window], above: list[Window]
) -> None:
    as_one_layer = Window(*receptive_field(below))
    expected = receptive_field([*below, *above])
    assert [*map(both, receptive_field([as_one_layer, *above]))] == [
        *map(both, expected)
    ]


@given(stacks)
def test_an_int_stands_for_a_pair(stack: list[Window]) -> None:
    pairs = [Window(*map(both, window)) for window in stack]
    assert receptive_field(pairs) == tuple(map(both, receptive_field(stack)))


def test_worked_by_hand() -> None:
    # Rows: a kernel of 3, then one of 2 with dilation 2, which spans 3 of positions 2 apart:
    # 3 + 2·2 = 7. Columns: 5, then 4 of positions 1 apart: 5 + 3 = 8.
    # Padding: rows 1 + 2·2, columns 0 + 1·1.
    field = receptive_field(
        [Window((3, 5), (2, 1), (1, 0)), Window((2, 4), 1, (2, 1), (2, 1))]
    )
    assert field == ReceptiveField(size=(7, 8), stride=(2, 1), padding=(5, 1))


def test_ints_give_ints_and_a_single_pair_gives_pairs() -> None:
    assert receptive_field([Window(3), Window(3)]) == (5, 1, 0)
    assert receptive_field([Window(3), Window(3, stride=(1, 1))]) == (
        (5, 5),
        (1, 1),
        (0, 0),
    )


def test_no_layers_see_one_pixel() -> None:
    assert receptive_field([]) == ReceptiveField(size=1, stride=1, padding=0)


def test_any_iterable_of_windows_will_do() -> None:
    assert receptive_field(Window(3) for _ in range(3)).size == 7
    with rejects(TypeError, "windows[0]=(3, 2): expected a Window"):
        receptive_field([(3, 2)])  # type: ignore[list-item]
    assert receptive_field([Window(np.int64(3), stride=[2, 1])]).stride == (2, 1)  # type: ignore[arg-type]


def alexnet_v2() -> Iterator[Window]:
    yield from [Window(11, 4), Window(3, 2), Window(5, padding=2), Window(3, 2)]
    yield from [*[Window(3, padding=1)] * 3, Window(3, 2)]


def vgg_16() -> Iterator[Window]:
    for convolutions in (2, 2, 3, 3, 3):
        yield from [*[Window(3, padding=1)] * convolutions, Window(2, 2)]


def mobilenet_v1() -> Iterator[Window]:
    for stride in (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1):
        yield Window(3, stride, padding=1)


def layer(window: Window, kind: str) -> nn.Module:
    kernel_size, stride, padding, dilation = map(both, window)
    if kind == "conv":
        return nn.Conv2d(1, 1, kernel_size, stride, padding, dilation)
    padding = min(padding[0], kernel_size[0] // 2), min(padding[1], kernel_size[1] // 2)
    if kind == "mean":
        return nn.AvgPool2d(kernel_size, stride, padding)
    return nn.MaxPool2d(kernel_size, stride, padding, dilation)


STEM = [Window(7, 2, 3), Window(3, 2, 1)]
UNITS = (3, 4, 6, 3)  # bottlenecks in each block of ResNet-50


def strides(first: bool) -> list[int]:
    """Of ResNet-50's units: torchvision strides in the first of a block, Araujo in the last."""
    if first:
        blocks = [[2 if block else 1, *[1] * (n - 1)] for block, n in enumerate(UNITS)]
    else:
        blocks = [
            [*[1] * (n - 1), 2 if block < 3 else 1] for block, n in enumerate(UNITS)
        ]
    return [stride for block in blocks for stride in block]


def resnet_50(first: bool = False) -> Iterator[Window]:
    yield from STEM
    for stride in strides(first):
        yield from [Window(1), Window(3, stride, padding=1), Window(1)]


def chain(windows: Iterable[Window]) -> nn.Module:
    """One channel is enough: the field has nothing to do with the channels."""
    return nn.Sequential(*(layer(window, "conv") for window in windows))


class Unit(nn.Module):
    """A bottleneck and the branch beside it, the activations in a function and in place."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        convs = [nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 3, stride, 1), nn.Conv2d(1, 1, 1)]
        last = nn.BatchNorm2d(1)
        nn.init.zeros_(last.weight)  # as ResNets are started: the branch is silent
        self.branch = nn.Sequential(*convs[:2], nn.ReLU(inplace=True), convs[2], last)
        self.short = nn.Conv2d(1, 1, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x) + self.short(x))


def resnet_50_units(first: bool = False) -> nn.Module:
    units = [Unit(stride) for stride in strides(first)]
    return nn.Sequential(nn.Conv2d(1, 1, 7, 2, 3), nn.MaxPool2d(3, 2, 1), *units)


def vgg_16_pooled() -> nn.Module:
    layers: list[nn.Module] = []
    for window in vgg_16():
        dead = nn.Conv2d(1, 1, 3, padding=1)
        nn.init.constant_(dead.bias, -9.0)  # type: ignore[arg-type]
        layers += [nn.MaxPool2d(2)] if window.stride == 2 else [dead, nn.ReLU()]
    return nn.Sequential(*layers)


@pytest.mark.parametrize(
    ("windows", "module", "field"),
    [
        (alexnet_v2(), chain(alexnet_v2()), (195, 32, 64)),
        (vgg_16(), vgg_16_pooled(), (212, 32, 90)),
        (mobilenet_v1(), chain(mobilenet_v1()), (315, 32, 157)),
        (resnet_50(), resnet_50_units(), (483, 32, 241)),
        (resnet_50(first=True), resnet_50_units(first=True), (427, 32, 213)),
    ],
    ids=[
        "AlexNet v2",
        "VGG-16",
        "MobileNet v1",
        "ResNet-50",
        "torchvision's ResNet-50",
    ],
)
def test_published_fields(
    windows: Iterable[Window], module: nn.Module, field: tuple[int, int, int]
) -> None:
    """Araujo, Norris and Sim, *Computing receptive fields*, Distill 2019, the table."""
    assert receptive_field(windows) == field
    size = field[0] + 3 * field[1] + 2
    assert measured_receptive_field(module, (1, size, size + 1)) == field


@each(
    ("name", "value", "error"),
    bad_pairs(kernel_size=1, stride=1, padding=0, dilation=1),
)
def test_an_impossible_argument_is_named(
    name: str, value: Any, error: type[Exception]
) -> None:
    bad = Window(**{"kernel_size": 3, name: value})
    with rejects(error, f"{name}={value!r}: expected an int or a (height, width) pair"):
        receptive_field([Window(3), bad])


@pytest.mark.parametrize(
    "windows", [None, 3, [3, 3], Window(3), [None], [(3, 1, 0, 1, 1)], [()]], ids=repr
)
def test_what_is_no_stack_of_windows_is_named(windows: Any) -> None:
    with rejects(TypeError, "windows", "expected"):
        receptive_field(windows)


# Which positions of the field are read.


def test_worked_by_hand_which_positions_are_read() -> None:
    assert sampled_positions([Window(3, dilation=2)]) == (0, 2, 4)
    # 0 2 4, then each moved by 0, 3: with stride 1 before, 3 pixels are 3 pixels.
    assert sampled_positions([Window(3, dilation=2), Window(2, dilation=3)]) == (
        *(0, 2, 3, 4, 5, 7),
    )
    # With stride 2 before, 3 positions of the second layer are 6 pixels.
    assert sampled_positions([Window(2, stride=2), Window(2, dilation=3)]) == (
        0,
        1,
        6,
        7,
    )


def test_the_published_coverage_of_dilated_stacks() -> None:
    """Rates 2, 2, 2 read 7 of 13 positions; 1, 2, 4 read all 15 (Yu and Koltun 2016)."""
    twos = [Window(3, dilation=2)] * 3
    growing = [Window(3, dilation=rate) for rate in (1, 2, 4)]
    assert (len(sampled_positions(twos)), receptive_field(twos).size) == (7, 13)
    assert sampled_positions(growing) == tuple(range(15))
    assert receptive_field(growing).size == 15


@given(st.lists(st.tuples(*[st.integers(1, 3)] * 3), max_size=3))
def test_what_is_read_is_what_has_a_gradient(stack: list[tuple[int, int, int]]) -> None:
    windows = [Window(k, stride=s, dilation=d) for k, s, d in stack]
    size = receptive_field(windows).size
    assert isinstance(size, int)
    x = torch.zeros(1, 1, size, requires_grad=True)
    y = x
    for kernel_size, stride, dilation in stack:
        y = F.conv1d(y, torch.ones(1, 1, kernel_size), None, stride, 0, dilation)
    y[0, 0, 0].backward()
    assert x.grad is not None
    read = x.grad[0, 0].nonzero().flatten().tolist()
    assert sampled_positions(windows) == tuple(read)


def test_pairs_give_a_pair() -> None:
    by_axis = sampled_positions([Window((3, 2), dilation=(2, 1))])
    assert by_axis == ((0, 2, 4), (0, 1))


# The measured field.

POOLS = st.sampled_from(["conv", "max", "mean"])


def window_of(module: Any) -> Window:
    return Window(
        module.kernel_size,
        module.stride,
        module.padding,
        getattr(module, "dilation", 1),
    )


@given(st.lists(st.tuples(windows, POOLS), min_size=1, max_size=3))
def test_the_measured_field_is_the_formulas(stack: list[tuple[Window, str]]) -> None:
    modules = [layer(*one) for one in stack]
    size, stride, padding = map(both, receptive_field(map(window_of, modules)))
    enough = [s + 4 * step + 2 for s, step in zip(size, stride, strict=True)]
    measured = measured_receptive_field(nn.Sequential(*modules), (1, *enough))
    assert [*map(both, measured)] == [size, stride, padding]


def test_worked_by_hand_of_transposed_layers() -> None:
    """Output 2t reads pixel t by weight 1, output 2t + 1 pixels t and t + 1 by 2 and 0."""
    layer = nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1)
    field: Any = (2, Fraction(1, 2), 0)
    assert measured_receptive_field(layer, (1, 9, 8)) == field
    # Every third row and every second column is of one pixel, all others are of none.
    layer = nn.ConvTranspose2d(1, 1, 1, stride=(3, 2))
    field = ((1, 1), (Fraction(1, 3), Fraction(1, 2)), (0, 0))
    assert measured_receptive_field(layer, (1, 9, 8)) == field
    # 4 outputs a pixel, then 3 of 4 left out: one output a pixel.
    down = nn.Sequential(nn.ConvTranspose2d(1, 1, 8, 4, 2), nn.Conv2d(1, 1, 5, 4))
    assert measured_receptive_field(down, (1, 9, 8)) == (3, 1, 1)


class UNet(nn.Module):
    """Down, up, and a branch that goes straight across."""

    def __init__(self, up: nn.Module) -> None:
        super().__init__()
        self.top, self.low = (nn.Conv2d(1, 1, 3, padding=1) for _ in range(2))
        self.up, self.last = up, nn.Conv2d(2, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        top = self.top(x).relu_()
        low = torch.relu(self.low(F.max_pool2d(top, 2)))
        return self.last(torch.cat([top, self.up(low)], dim=1))


UPS = {
    "nearest": nn.Upsample(scale_factor=2),
    "bilinear": nn.Upsample(scale_factor=2, mode="bilinear"),
    **{
        f"transposed {k}": nn.ConvTranspose2d(1, 1, k, 2, (k - 1) // 2, k % 2)
        for k in (2, 3, 4, 5)
    },
}


@pytest.mark.parametrize("up", UPS)
def test_a_network_that_enlarges_is_what_its_matrix_says(up: str) -> None:
    torch.manual_seed(0)
    network = UNet(UPS[up]).double().requires_grad_(False)
    field = measured_receptive_field(network, (1, 36, 40))
    assert field.stride == 1
    with Transparent():
        zero = network(
            torch.zeros(1, 1, 36, 1, dtype=torch.float64).expand(-1, -1, -1, 4)
        )
        matrix = as_matrix(
            lambda x: (network(x[:, :, :, None].expand(-1, -1, -1, 4)) - zero)[..., 0],
            (1, 36),
        )
    extents = [row.nonzero().flatten().tolist() for row in matrix]
    inside = extents[14:22]  # far from the border
    assert field.size == max(seen[-1] - seen[0] + 1 for seen in inside)
    assert field.padding == 14 - inside[0][0]


def test_what_hides_a_gradient_hides_no_part_of_the_field() -> None:
    dead = nn.Conv2d(2, 4, 3)
    nn.init.constant_(dead.bias, -1000.0)  # type: ignore[arg-type]
    silent = nn.BatchNorm2d(4)
    nn.init.zeros_(silent.weight)

    class Custom(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x = F.max_pool2d(x.clamp(min=0), 2, 1).sigmoid()
            return torch.maximum(F.gelu(F.hardswish(x - 9, inplace=True)), x)

    network = nn.Sequential(dead, silent, nn.ReLU(), Custom(), nn.Dropout(), nn.ReLU6())
    assert measured_receptive_field(network.train(), (2, 9, 8)) == (4, 1, 0)


@pytest.mark.parametrize(
    "choose",
    [
        lambda x: torch.max(x, x.roll((1, 2), (2, 3))),
        lambda x: x.min(other=x.roll((1, 2), (2, 3))),
        lambda x: torch.fmin(x, x.roll((1, 2), (2, 3))),
        lambda x: torch.stack([x, x.roll((1, 2), (2, 3))]).max(0)[0],
        lambda x: (
            torch.stack([x, x.roll((1, 2), (2, 3))], 4).min(-1, True).values[..., 0]
        ),
        lambda x: torch.stack([x, x.roll((1, 2), (2, 3))]).amin(dim=0),
    ],
)
def test_a_choice_of_the_largest_or_smallest_reads_all_of_them(choose: Any) -> None:
    assert measured_receptive_field(choose, (2, 9, 8)).size == (2, 3)


def test_the_largest_of_whole_numbers_and_a_choice_by_where_stay_what_they_are() -> (
    None
):
    sizes = torch.tensor([2, 7])
    with Transparent():
        assert sizes.max().item() == 7
        assert [found.item() for found in torch.min(sizes, dim=0)] == [2, 0]
        assert torch.max(sizes, sizes.flip(0)).tolist() == [7, 7]
        assert torch.tensor([1.5, 2.0]).max() == 3.5
        assert torch.where(sizes > 2, 1.0, 0.0).tolist() == [0, 1]


def test_neighbours_may_be_cut_off_at_the_border() -> None:
    """VGG-16's 212 of 224 pixels fit into the image for one output in the middle alone."""
    assert measured_receptive_field(vgg_16_pooled(), (1, 224, 224)) == (212, 32, 90)


def test_a_pooling_window_may_end_outside() -> None:
    """Of 7 pixels, windows of 3 with dilation 2 and stride 3: the third ends at pixel 10."""
    pool = nn.MaxPool2d(3, stride=3, padding=1, dilation=2, ceil_mode=True)
    image = torch.ones(1, 1, 7, 8)
    with Transparent():
        counts = pool(image)
    assert counts.shape == pool(image).shape
    assert counts[0, 0].tolist() == [[4, 6, 4], [6, 9, 6], [2, 3, 2]]


def test_a_hundred_layers_do_not_fade() -> None:
    layers = [nn.Conv2d(1, 1, 3, padding=1) for _ in range(100)]
    for one in layers:
        nn.init.constant_(one.weight, 1e-3)
    assert measured_receptive_field(nn.Sequential(*layers), (1, 205, 204)).size == 201


def test_a_function_will_do_and_pixels_times_zero_do_not_count() -> None:
    weight = torch.tensor([[0.0, 1, 0, 1, 0]], dtype=torch.float64)[None, None]
    field = measured_receptive_field(lambda x: F.conv2d(x, weight), (1, 8, 11))
    assert field == ReceptiveField(size=(1, 3), stride=(1, 1), padding=(0, -1))


def test_a_method_of_a_module_will_do() -> None:
    class Headed(nn.Linear):
        def features(self, x: Tensor) -> Tensor:
            return F.conv2d(x, self.weight[None, None])

        def forward(self, x: Tensor) -> Tensor:
            return self.features(x).mean((2, 3))

    network = Headed(2, 3)  # its weights are float32
    assert measured_receptive_field(network.features, (1, 8, 9)).size == (3, 2)
    assert network.weight.dtype == torch.float32


def test_the_module_is_left_as_it_was() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout())
    network[1].eval()
    before, modes = (
        deepcopy(network.state_dict()),
        [m.training for m in network.modules()],
    )
    state = torch.random.get_rng_state()
    with torch.no_grad():
        assert measured_receptive_field(network, (5, 1, 9, 8)) == (3, 1, 0)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert modes == [m.training for m in network.modules()]
    assert all(p.requires_grad and p.grad is None for p in network.parameters())
    for name, tensor in network.state_dict().items():
        assert tensor.dtype == before[name].dtype
        assert torch.equal(tensor, before[name])
    assert torch.relu(torch.tensor(-1.0)) == 0  # torch is as it was, too


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv2d(2, 2, 9, padding=4),
        nn.Conv2d(2, 2, 7),
        nn.Sequential(nn.Conv2d(2, 2, 3), nn.AdaptiveMaxPool2d(1)),
        nn.GroupNorm(1, 2),
        lambda x: x.amax((2, 3), keepdim=True),
    ],
)
def test_a_field_that_the_border_may_cut_off_is_no_field(module: Any) -> None:
    with rejects(ValueError, "the height of input_shape is 8: expected more"):
        measured_receptive_field(module, (2, 8, 9))


def test_a_module_that_cannot_be_measured_is_named() -> None:
    with rejects(TypeError, "module=3: expected an nn.Module or a function"):
        measured_receptive_field(3, (1, 8, 9))  # type: ignore[arg-type]
    with rejects(TypeError, "module gives (1, 72): expected one tensor (N, C, H, W)"):
        measured_receptive_field(nn.Flatten(), (1, 8, 9))
    with rejects(TypeError, "module gives <class 'tuple'>: expected one tensor"):
        measured_receptive_field(lambda x: (x, x), (1, 8, 9))  # type: ignore[arg-type,return-value]
    with rejects(ValueError, "module: expected an output that depends on the input"):
        measured_receptive_field(torch.ones_like, (1, 8, 9))


@pytest.mark.parametrize(
    ("shape", "error"),
    [
        (8, TypeError),
        ((8, 9), ValueError),
        ((1, 1, 1, 8, 9), ValueError),
        ((1, 0, 9), ValueError),
        ((1, 8.0, 9), TypeError),
    ],
)
def test_what_is_no_shape_of_an_image_is_named(
    shape: Any, error: type[Exception]
) -> None:
    with rejects(error, "input_shape=", "expected"):
        measured_receptive_field(nn.Identity(), shape)


def test_max_pooling_that_returns_its_indices_sums_too() -> None:
    def pooled(x: Tensor) -> Tensor:
        return F.max_pool2d(x, 3, 2, 1, return_indices=True)[0]

    assert measured_receptive_field(pooled, (1, 20, 23)) == (3, 2, 1)


def test_a_transposed_layer_with_gaps_is_measured_alike_on_both_axes() -> None:
    layer = nn.ConvTranspose2d(1, 1, 2, stride=3)
    expected: Any = (1, Fraction(1, 3), 0)
    for shape in ((1, 30, 31), (1, 31, 30), (1, 32, 33)):
        assert measured_receptive_field(layer, shape) == expected


def test_a_field_is_measured_in_inference_mode_too() -> None:
    layer = nn.Conv2d(1, 1, 3)
    with torch.inference_mode():
        assert measured_receptive_field(layer, (1, 9, 10)) == (3, 1, 0)


def test_a_module_on_the_meta_device_is_named() -> None:
    with rejects(ValueError, "module is on the meta device"):
        measured_receptive_field(nn.Conv2d(1, 1, 3, device="meta"), (1, 9, 10))
