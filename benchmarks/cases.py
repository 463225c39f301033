"""What is timed: for each case, the package's way and the one it is compared with."""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from convnotes.costs import Cost
from convnotes.depthwise import depthwise_conv2d, depthwise_conv2d_cost
from convnotes.standard import conv2d, conv2d_cost

Way = Callable[[], object]


def standard() -> dict[str, Way]:
    """Return 64 → 64 channels, 3×3, on 8 images of 56×56, forward."""
    input, weight = torch.randn(8, 64, 56, 56), torch.randn(64, 64, 3, 3)
    return {
        "convnotes": lambda: conv2d(input, weight, padding=1),
        "torch": lambda: F.conv2d(input, weight, padding=1),
    }


def standard_training() -> dict[str, Way]:
    """Return the same, forward and backward to input and weight."""
    input = torch.randn(8, 64, 56, 56, requires_grad=True)
    weight = torch.randn(64, 64, 3, 3, requires_grad=True)
    given = torch.randn(8, 64, 56, 56)

    def step(function: Callable[..., torch.Tensor]) -> Way:
        def forward_and_backward() -> object:
            return torch.autograd.grad(
                function(input, weight, padding=1), (input, weight), given
            )

        return forward_and_backward

    return {"convnotes": step(conv2d), "torch": step(F.conv2d)}


def depthwise() -> dict[str, Way]:
    """Return 256 channels, 3×3, on 8 images of 56×56, forward."""
    input, weight = torch.randn(8, 256, 56, 56), torch.randn(256, 1, 3, 3)
    return {
        "convnotes": lambda: depthwise_conv2d(input, weight, padding=1),
        "torch": lambda: F.conv2d(input, weight, padding=1, groups=256),
    }


def depthwise_training() -> dict[str, Way]:
    """Return the same, forward and backward to input and weight."""
    input = torch.randn(8, 256, 56, 56, requires_grad=True)
    weight = torch.randn(256, 1, 3, 3, requires_grad=True)
    given = torch.randn(8, 256, 56, 56)

    def step(output: torch.Tensor) -> object:
        return torch.autograd.grad(output, (input, weight), given)

    return {
        "convnotes": lambda: step(depthwise_conv2d(input, weight, padding=1)),
        "torch": lambda: step(F.conv2d(input, weight, padding=1, groups=256)),
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


CASES = {
    "standard": standard,
    "standard, forward and backward": standard_training,
    "depthwise, forward": depthwise,
    "depthwise, forward and backward": depthwise_training,
    "depthwise roofline": depthwise_roofline,
}

# For the cases from which a page computes rates: what each way computes and moves.
COSTS: dict[str, dict[str, Cost]] = {
    "depthwise roofline": {
        "matrix product": Cost(macs=2048**3, elements_moved=3 * 2048**2),
        "copy": Cost(elements_moved=2 * 2**26),
        "standard": conv2d_cost(256, 256, 3, 112, padding=1),
        "pointwise": conv2d_cost(256, 256, 1, 112),
        "depthwise": depthwise_conv2d_cost(256, 3, 112, padding=1),
    }
}
