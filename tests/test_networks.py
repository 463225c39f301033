"""The published networks: their counts, and the shapes of their real runs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from cases import rejects
from test_profiling import macs_by_torch, on_meta
from torch import nn

from convnotes.networks import (
    alexnet,
    convnext_tiny,
    mobilenet_v1,
    mobilenet_v2,
    profile,
    resnet50,
    resnext50_32x4d,
    vgg16,
    xception,
)

PUBLISHED = [  # network, size of the image, parameters, 10⁶ MACs where they are published
    (alexnet, 227, 60_965_224, None),
    (lambda: alexnet(groups=1), 227, 62_378_344, None),
    (vgg16, 224, 138_357_544, 15_470),
    (resnet50, 224, 25_557_032, 4_089),
    (resnext50_32x4d, 224, 25_028_904, 4_230),
    (mobilenet_v1, 224, 4_231_976, 569),
    (mobilenet_v2, 224, 3_504_872, 301),
    (xception, 299, 22_855_952, None),
    (convnext_tiny, 224, 28_589_128, 4_456),
]


@pytest.mark.parametrize(("build", "size", "params", "megamacs"), PUBLISHED)
def test_published_counts_come_out(
    build: Callable[[], nn.Module], size: int, params: int, megamacs: int | None
) -> None:
    module = on_meta(build)
    found = profile(module, (1, 3, size, size))
    assert found.params == params == sum(p.numel() for p in module.parameters())
    assert found.rows[-1].output_shape == (1, 1000)
    if megamacs is not None:
        assert round(found.macs / 1e6) == megamacs


def test_mobilenet_v1_table_4() -> None:
    standard = profile(on_meta(mobilenet_v1, False), (1, 3, 224, 224))
    assert round(standard.params / 1e6, 1) == 29.3
    # 4,866 is without the classifier, 569 with it.
    assert standard.by_kind()["standard"].macs // 10**6 == 4866
    assert round(standard.macs / 1e6) == 4867


def test_mobilenet_v1_table_2() -> None:
    found = profile(on_meta(mobilenet_v1), (1, 3, 224, 224))
    macs = {kind: cost.macs / found.macs for kind, cost in found.by_kind().items()}
    shares = {kind: round(100 * share, 2) for kind, share in macs.items()}
    # The paper prints 1.19 for the standard layer: its shares then add up to 99.29.
    expected = {"pointwise": 94.86, "depthwise": 3.06, "standard": 1.91, "linear": 0.18}
    assert shares == expected


def test_torch_counts_the_same_for_a_whole_network() -> None:
    for build in (lambda: resnet50("last"), xception):
        module = on_meta(build).eval()
        found = profile(module, (2, 3, 97, 128))
        assert found.macs == macs_by_torch(module, (2, 3, 97, 128))


@pytest.mark.parametrize("stride", ["3x3", "1x1", "last"])
def test_a_resnet_runs_and_its_rows_have_the_shapes_of_the_real_run(
    stride: Any,
) -> None:
    torch.manual_seed(0)
    module = resnet50(stride).eval()
    assert [row.output_shape for row in profile(module, (1, 3, 64, 96)).rows] == (
        shapes_of_real_run(module, (1, 3, 64, 96))
    )
    assert module.features(torch.ones(1, 3, 64, 96)).shape == (1, 2048, 2, 3)


@pytest.mark.parametrize("build", [mobilenet_v1, mobilenet_v2, xception, convnext_tiny])
def test_networks_run_and_their_rows_have_the_shapes_of_the_real_run(
    build: Callable[[], nn.Module],
) -> None:
    module = build().eval()
    shape = (1, 3, 75, 100)
    found = [row.output_shape for row in profile(module, shape).rows]
    assert found == shapes_of_real_run(module, shape)


def shapes_of_real_run(module: nn.Module, shape: tuple[int, ...]) -> list[Any]:
    shapes = []
    hooks = [
        each.register_forward_hook(lambda *call: shapes.append(tuple(call[2].shape)))
        for each in module.modules()
        if isinstance(each, nn.Conv2d | nn.Linear)
    ]
    with torch.no_grad():
        module(torch.rand(shape))
    for hook in hooks:
        hook.remove()
    return shapes


def test_alexnet_and_vgg_have_the_layers_of_their_papers() -> None:
    rows = profile(on_meta(alexnet), (1, 3, 227, 227)).rows
    assert [row.kind for row in rows[:5]] == (
        ["standard", "grouped", "standard", "grouped", "grouped"]
    )
    assert rows[0].output_shape == (1, 96, 55, 55)
    names = [name for name, _ in on_meta(vgg16).named_parameters()]
    assert names[0] == "features.0.weight"
    assert names[-1] == "classifier.6.bias"


def test_names_are_torchvisions() -> None:
    names = {
        build: {name for name, _ in on_meta(build).named_parameters()}
        for build in (resnet50, mobilenet_v2, convnext_tiny)
    }
    assert {"conv1.weight", "layer1.0.downsample.1.bias"} <= names[resnet50]
    assert {"layer4.2.bn3.weight", "fc.bias"} <= names[resnet50]
    assert {"features.0.0.weight", "features.1.conv.0.0.weight"} <= names[mobilenet_v2]
    assert {"features.2.conv.2.weight", "classifier.1.bias"} <= names[mobilenet_v2]
    assert {"features.0.0.bias", "features.1.0.layer_scale"} <= names[convnext_tiny]
    assert {"features.2.1.weight", "features.1.2.block.5.bias"} <= names[convnext_tiny]


@pytest.mark.parametrize(("groups", "error"), [(0, ValueError), (2.0, TypeError)])
def test_alexnets_groups_are_an_integer(groups: Any, error: type[Exception]) -> None:
    with rejects(error, f"groups={groups}: expected an integer >= 1"):
        alexnet(groups)


def test_alexnets_groups_divide_its_channels() -> None:
    with rejects(ValueError, "groups=3: expected a divisor of out_channels=256"):
        alexnet(3)


def test_where_the_stride_may_be() -> None:
    with rejects(ValueError, "stride='2x2'", "'3x3', '1x1' or 'last'"):
        resnet50("2x2")  # type: ignore[arg-type]
