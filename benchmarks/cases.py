"""What is timed: for each case, one way (mostly the package's) and what it is compared with."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import onnx_runtime
from convnotes.comparison import compare
from convnotes.costs import Cost
from convnotes.deformable import deform_conv2d
from convnotes.depthwise import depthwise_conv2d, depthwise_conv2d_cost
from convnotes.depthwise_separable import depthwise_separable_conv2d
from convnotes.grouped import grouped_conv2d
from convnotes.networks import mobilenet_v1, profile, resnet50
from convnotes.pointwise import pointwise_conv2d
from convnotes.separable import spatially_separable_conv2d
from convnotes.standard import conv2d, conv2d_cost
from convnotes.transposed import conv_transpose2d

Way = Callable[[], object]


def layer(
    ours: Callable[..., torch.Tensor],
    torchs: Callable[..., torch.Tensor],
    weight_shape: tuple[int, ...],
    training: bool = False,
    **options: Any,
) -> dict[str, Way]:
    """Return the package's function and torch's, on 8 images of 56×56.

    Both get the ``options``. With ``training``, forward and backward to input and weight.
    """
    groups = torchs.keywords["groups"] if isinstance(torchs, partial) else 1
    channels = weight_shape[1] * options.get("groups", groups)
    input = torch.randn(8, channels, 56, 56, requires_grad=training)
    weight = torch.randn(weight_shape, requires_grad=training)
    given = torch.randn(8, weight_shape[0], 56, 56)

    def way(function: Callable[..., torch.Tensor]) -> Way:
        if not training:
            return lambda: function(input, weight, **options)
        return lambda: torch.autograd.grad(
            function(input, weight, **options), (input, weight), given
        )

    return {"convnotes": way(ours), "torch": way(torchs)}


standard = partial(layer, conv2d, F.conv2d, (64, 64, 3, 3), padding=1)
pointwise = partial(layer, pointwise_conv2d, F.conv2d, (256, 256, 1, 1))
depthwise = partial(
    layer,
    depthwise_conv2d,
    partial(F.conv2d, groups=256),
    (256, 1, 3, 3),
    padding=1,
)


def grouped(groups: int, training: bool = False) -> dict[str, Way]:
    """Return the standard case with its channels in groups."""
    shape, options = (64, 64 // groups, 3, 3), {"padding": 1, "groups": groups}
    return layer(grouped_conv2d, F.conv2d, shape, training, **options)


def transposed(kernel_size: int, training: bool = False) -> dict[str, Way]:
    """Return 64 → 64 channels, stride 2, from 8 images of 28×28 to 56×56."""
    input = torch.randn(8, 64, 28, 28, requires_grad=training)
    weight = torch.randn(64, 64, kernel_size, kernel_size, requires_grad=training)
    given = torch.randn(8, 64, 56, 56)
    options: Any = {"stride": 2, "padding": (kernel_size - 1) // 2}
    options["output_padding"] = kernel_size % 2

    def way(function: Callable[..., torch.Tensor]) -> Way:
        if not training:
            return lambda: function(input, weight, **options)
        return lambda: torch.autograd.grad(
            function(input, weight, **options), (input, weight), given
        )

    return {"convnotes": way(conv_transpose2d), "torch": way(F.conv_transpose2d)}


def separable(kernel_size: int) -> dict[str, Way]:
    """Return two passes, 16 → 16 channels, on 8 images of 112×112, forward."""
    input, padding = torch.randn(8, 16, 112, 112), kernel_size // 2
    column = torch.randn(16, 16, kernel_size, 1)
    row = torch.randn(16, 16, 1, kernel_size)
    return {
        "convnotes": lambda: spatially_separable_conv2d(
            input, column, row, padding=padding
        ),
        "torch": lambda: F.conv2d(
            F.conv2d(input, column, padding=(padding, 0)), row, padding=(0, padding)
        ),
    }


def separable_or_whole(kernel_size: int) -> dict[str, Way]:
    """Return torch's two passes and torch's whole kernel, of the same sizes."""
    input = torch.randn(8, 16, 112, 112)
    weight = torch.randn(16, 16, kernel_size, kernel_size)
    return {
        "two passes": separable(kernel_size)["torch"],
        "whole kernel": lambda: F.conv2d(input, weight, padding=kernel_size // 2),
    }


def depthwise_separable() -> dict[str, Way]:
    """Return 256 → 256 channels, 3×3, on 8 images of 56×56, forward."""
    input = torch.randn(8, 256, 56, 56)
    first, second = torch.randn(256, 1, 3, 3), torch.randn(256, 256, 1, 1)
    return {
        "convnotes": lambda: depthwise_separable_conv2d(
            input, first, second, padding=1
        ),
        "torch": lambda: F.conv2d(
            F.conv2d(input, first, padding=1, groups=256), second
        ),
    }


def depthwise_separable_or_standard() -> dict[str, Way]:
    """Return torch's two layers and torch's standard one, of the same sizes."""
    input, weight = torch.randn(8, 256, 56, 56), torch.randn(256, 256, 3, 3)
    return {
        "two layers": depthwise_separable()["torch"],
        "standard": lambda: F.conv2d(input, weight, padding=1),
    }


def deformable_tensors(modulated: bool = False) -> list[torch.Tensor]:
    """Return input, offset, weight and perhaps mask: 4 images of 56×56, 64 → 64, 3×3."""
    shapes = [(4, 64, 56, 56), (4, 18, 56, 56), (64, 64, 3, 3), (4, 9, 56, 56)]
    return [torch.randn(shape) for shape in shapes[: 4 if modulated else 3]]


def deformable(modulated: bool = False) -> dict[str, Way]:
    """Return the package's function and ONNX Runtime's operator, forward."""
    input, offset, weight, *mask = deformable_tensors(modulated)
    options: Any = {"mask": mask[0]} if mask else {}
    arrays: Any = {name: value.numpy() for name, value in options.items()}
    return {
        "convnotes": lambda: deform_conv2d(input, offset, weight, padding=1, **options),
        "ONNX Runtime": onnx_runtime.deform_conv2d(
            input.numpy(),
            offset.numpy(),
            weight.numpy(),
            padding=(1, 1),
            threads=torch.get_num_threads(),
            **arrays,
        ),
    }


def deformable_or_standard(training: bool = False) -> dict[str, Way]:
    """Return the deformable layer and torch's standard one, of the same sizes."""
    input, offset, weight = deformable_tensors()
    given = torch.randn(4, 64, 56, 56)
    if not training:
        return {
            "deformable": lambda: deform_conv2d(input, offset, weight, padding=1),
            "standard": lambda: F.conv2d(input, weight, padding=1),
        }
    tensors = [tensor.requires_grad_() for tensor in (input, offset, weight)]
    return {
        "deformable": lambda: torch.autograd.grad(
            deform_conv2d(input, offset, weight, padding=1), tensors, given
        ),
        "standard": lambda: torch.autograd.grad(
            F.conv2d(input, weight, padding=1), tensors[::2], given
        ),
    }


def depthwise_roofline() -> dict[str, Way]:
    """Return a large product, a large copy, and torch's layers at one size; see COSTS."""
    factor, values = torch.randn(2048, 2048), torch.randn(2**26)
    product, copy = torch.empty_like(factor), torch.empty_like(values)
    image, pixels = torch.randn(1, 256, 112, 112), torch.randn(256, 256, 1, 1)
    full, single = torch.randn(256, 256, 3, 3), torch.randn(256, 1, 3, 3)
    return {
        "matrix product": lambda: torch.mm(factor, factor, out=product),
        "copy": lambda: copy.copy_(values),
        "standard": lambda: F.conv2d(image, full, padding=1),
        "pointwise": lambda: F.conv2d(image, pixels),
        "depthwise": lambda: F.conv2d(image, single, padding=1, groups=256),
    }


def variants() -> dict[str, Way]:
    """Return torch's layers for the variants that it has, all at the size of COMPARED."""
    image, full = torch.randn(1, 256, 56, 56), torch.randn(256, 256, 3, 3)
    single, pixels = torch.randn(256, 1, 3, 3), torch.randn(256, 256, 1, 1)
    column, row = torch.randn(256, 256, 3, 1), torch.randn(256, 256, 1, 3)
    quarter = torch.randn(256, 64, 3, 3)

    def depthwise() -> torch.Tensor:
        return F.conv2d(image, single, padding=1, groups=256)

    return {
        "standard": lambda: F.conv2d(image, full, padding=1),
        "dilated": lambda: F.conv2d(image, full, padding=2, dilation=2),
        "transposed": lambda: F.conv_transpose2d(
            image, full, stride=2, padding=1, output_padding=1
        ),
        "spatially separable": lambda: F.conv2d(
            F.conv2d(image, column, padding=(1, 0)), row, padding=(0, 1)
        ),
        "depthwise": depthwise,
        "pointwise": lambda: F.conv2d(image, pixels),
        "depthwise separable": lambda: F.conv2d(depthwise(), pixels),
        "grouped": lambda: F.conv2d(image, quarter, padding=1, groups=4),
    }


COMPARED = compare(256, 256, kernel_size=3, input_size=56)


def profiling(build: Callable[[], torch.nn.Module]) -> dict[str, Way]:
    """Return the counting of a network for one image of 224×224, on the meta device."""
    with torch.device("meta"):
        network, image = build().eval(), torch.empty(1, 3, 224, 224)

    def counted_by_torch() -> int:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(image)
        return counter.get_total_flops()

    return {
        "convnotes": lambda: profile(network, (1, 3, 224, 224)),
        "torch": counted_by_torch,
    }


CASES: dict[str, Callable[[], dict[str, Way]]] = {
    "standard": standard,
    "standard, forward and backward": partial(standard, training=True),
    "transposed, 2×2": partial(transposed, 2),
    "transposed, 3×3": partial(transposed, 3),
    "transposed, 4×4": partial(transposed, 4),
    "transposed, 3×3, forward and backward": partial(transposed, 3, training=True),
    "separable or whole, 3×3 on 112×112": partial(separable_or_whole, 3),
    "separable or whole, 7×7 on 112×112": partial(separable_or_whole, 7),
    "separable or whole, 15×15 on 112×112": partial(separable_or_whole, 15),
    "separable layer, 7×7 on 112×112": partial(separable, 7),
    "depthwise, forward": depthwise,
    "depthwise, forward and backward": partial(depthwise, training=True),
    "depthwise roofline": depthwise_roofline,
    "pointwise": pointwise,
    "pointwise, forward and backward": partial(pointwise, training=True),
    "depthwise separable layer": depthwise_separable,
    "depthwise separable or standard": depthwise_separable_or_standard,
    "grouped, 1 group": partial(grouped, 1),
    "grouped, 4 groups": partial(grouped, 4),
    "grouped, 8 groups": partial(grouped, 8),
    "grouped, 8 groups, forward and backward": partial(grouped, 8, training=True),
    "grouped, 32 groups": partial(grouped, 32),
    "profile, ResNet-50": partial(profiling, resnet50),
    "profile, MobileNetV1": partial(profiling, mobilenet_v1),
    "variants": variants,
    "deformable, forward": deformable,
    "deformable, forward, with a mask": partial(deformable, modulated=True),
    "deformable or standard, forward": deformable_or_standard,
    "deformable or standard, forward and backward": partial(
        deformable_or_standard, training=True
    ),
}

# For the cases from which a page computes rates: what each way computes and moves.
COSTS: dict[str, dict[str, Cost]] = {
    "depthwise roofline": {
        "matrix product": Cost(macs=2048**3, elements_moved=3 * 2048**2),
        "copy": Cost(elements_moved=2 * 2**26),
        "standard": conv2d_cost(256, 256, 3, 112, padding=1),
        "pointwise": conv2d_cost(256, 256, 1, 112),
        "depthwise": depthwise_conv2d_cost(256, 3, 112, padding=1),
    },
    "variants": {
        name: COMPARED[name].cost for name in COMPARED if name != "deformable"
    },
}
