"""What is timed: for each case, the package's way and the one it is compared with."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F

from convnotes.grouped import grouped_conv2d
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


CASES: dict[str, Callable[[], dict[str, Way]]] = {
    "standard": standard,
    "standard, forward and backward": standard_training,
    "grouped, 1 group": partial(grouped, 1),
    "grouped, 4 groups": partial(grouped, 4),
    "grouped, 8 groups": partial(grouped, 8),
    "grouped, 8 groups, forward and backward": partial(grouped_training, 8),
    "grouped, 32 groups": partial(grouped, 32),
}
