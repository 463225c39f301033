"""What is timed: for each case, the package's way and the one it is compared with."""

from collections.abc import Callable

import torch
import torch.nn.functional as F

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


def separable(kernel_size: int) -> dict[str, Way]:
    """Return a kernel in two passes and whole: 16 → 16 channels, 8 images of 112×112, forward."""
    input, padding = torch.randn(8, 16, 112, 112), kernel_size // 2
    column = torch.randn(16, 16, kernel_size, 1)
    row = torch.randn(16, 16, 1, kernel_size)
    weight = torch.einsum("mcu,omv->ocuv", column[..., 0], row[:, :, 0])

    def in_two_passes() -> torch.Tensor:
        middle = F.conv2d(input, column, padding=(padding, 0))
        return F.conv2d(middle, row, padding=(0, padding))

    return {
        "convnotes": lambda: spatially_separable_conv2d(
            input, column, row, padding=padding
        ),
        "torch in two passes": in_two_passes,
        "torch": lambda: F.conv2d(input, weight, padding=padding),
    }


CASES = {
    "standard": standard,
    "standard, forward and backward": standard_training,
    "separable 3×3 on 112×112": lambda: separable(3),
    "separable 7×7 on 112×112": lambda: separable(7),
    "separable 15×15 on 112×112": lambda: separable(15),
}
