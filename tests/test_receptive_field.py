"""The receptive field is what gradients say it is, and what was published."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cases import bad_pairs, both, int_or_pair, rejects
from hypothesis import given
from hypothesis import strategies as st

from convnotes.receptive_field import (
    ReceptiveField,
    Window,
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


@pytest.mark.parametrize(
    ("network", "size", "stride"),
    [(alexnet_v2, 195, 32), (vgg_16, 212, 32), (mobilenet_v1, 315, 32)],
)
def test_published_fields(
    network: Callable[[], Iterator[Window]], size: int, stride: int
) -> None:
    """Araujo, Norris and Sim, *Computing receptive fields*, Distill 2019, the table."""
    assert receptive_field(network())[:2] == (size, stride)


@pytest.mark.parametrize(
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
