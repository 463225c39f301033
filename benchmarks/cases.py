"""What is timed: for each case, one way (mostly the package's) and what it is compared with."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F

from convnotes.depthwise_separable import depthwise_separable_conv2d
from convnotes.grouped import grouped_conv2d
from convnotes.pointwise import pointwise_conv2d
from convnotes.separable import spatially_separable_conv2d
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


def grouped(groups: int) -> dict[str, Way]:
    """Return the standard case with its channels in groups, forward."""
    input, weight = torch.randn(8, 64, 56, 56), torch.randn(64, 64 // groups, 3, 3)
    return {
        "convnotes": lambda: grouped_conv2d(input, weight, padding=1, groups=groups),
        "torch": lambda: F.conv2d(input, weight, padding=1, groups=groups),
    }


def grouped_training(groups: int) -> dict[str, Way]:
    """Return the same, forward and backward to input and weight."""
    input = torch.randn(8, 64, 56, 56, requires_grad=True)
    weight = torch.randn(64, 64 // groups, 3, 3, requires_grad=True)
    given = torch.randn(8, 64, 56, 56)

    def step(function: Callable[..., torch.Tensor]) -> Way:
        def forward_and_backward() -> object:
            output = function(input, weight, padding=1, groups=groups)
            return torch.autograd.grad(output, (input, weight), given)

        return forward_and_backward

    return {"convnotes": step(grouped_conv2d), "torch": step(F.conv2d)}


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


CASES: dict[str, Callable[[], dict[str, Way]]] = {
    "standard": standard,
    "standard, forward and backward": standard_training,
    "separable or whole, 3×3 on 112×112": partial(separable_or_whole, 3),
    "separable or whole, 7×7 on 112×112": partial(separable_or_whole, 7),
    "separable or whole, 15×15 on 112×112": partial(separable_or_whole, 15),
    "separable layer, 7×7 on 112×112": partial(separable, 7),
    "pointwise": pointwise,
    "pointwise, forward and backward": pointwise_training,
    "depthwise separable layer": depthwise_separable,
    "depthwise separable or standard": depthwise_separable_or_standard,
    "grouped, 1 group": partial(grouped, 1),
    "grouped, 4 groups": partial(grouped, 4),
    "grouped, 8 groups": partial(grouped, 8),
    "grouped, 8 groups, forward and backward": partial(grouped_training, 8),
    "grouped, 32 groups": partial(grouped, 32),
}
