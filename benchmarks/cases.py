"""What is timed: for each case, the package's way and the one it is compared with."""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from convnotes.pointwise import pointwise_conv2d
from convnotes.standard import conv2d

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


def pointwise() -> dict[str, Way]:
    """Return 256 → 256 channels, 1×1, on 8 images of 56×56, forward."""
    input, weight = torch.randn(8, 256, 56, 56), torch.randn(256, 256, 1, 1)
    return {
        "convnotes": lambda: pointwise_conv2d(input, weight),
        "torch": lambda: F.conv2d(input, weight),
    }


def pointwise_training() -> dict[str, Way]:
    """Return the same, forward and backward to input and weight."""
    input = torch.randn(8, 256, 56, 56, requires_grad=True)
    weight = torch.randn(256, 256, 1, 1, requires_grad=True)
    given = torch.randn(8, 256, 56, 56)

    def step(function: Callable[..., torch.Tensor]) -> Way:
        return lambda: torch.autograd.grad(
            function(input, weight), (input, weight), given
        )

    return {"convnotes": step(pointwise_conv2d), "torch": step(F.conv2d)}


CASES = {
    "standard": standard,
    "standard, forward and backward": standard_training,
    "pointwise": pointwise,
    "pointwise, forward and backward": pointwise_training,
}
