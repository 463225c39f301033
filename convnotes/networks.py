"""Published networks as tables, and what each layer of a network costs.

Each function builds the real network, an ``nn.Module`` that can be trained; the tables say
what its paper says. Where torchvision has the same network, parameters have its names. The
weights are torch's initial ones. To look at a network without them, build it on the meta
device:

>>> with torch.device("meta"):
...     found = profile(resnet50(), (1, 3, 224, 224))
>>> found.params, round(found.macs / 1e9, 3)
(25557032, 4.089)
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from convnotes.arguments import divides, integer
from convnotes.profiling import Profile as Profile
from convnotes.profiling import Row as Row
from convnotes.profiling import profile as profile

Stride = Literal["3x3", "1x1", "last"]


def step(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 3,
    stride: int = 1,
    groups: int = 1,
    activation: Callable[[], nn.Module] | None = nn.ReLU,
) -> nn.Sequential:
    """Return a convolution that keeps the size, batch normalisation, and an activation.

    >>> len(step(3, 8)), len(step(3, 8, activation=None))
    (3, 2)
    """
    layers: list[nn.Module] = [
        nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            kernel_size // 2,
            groups=groups,
            bias=False,
        ),
        nn.BatchNorm2d(out_channels),
    ]
    return nn.Sequential(*layers, *([] if activation is None else [activation()]))


def alexnet(groups: int = 2) -> nn.Sequential:
    """Return AlexNet for images of 227×227 (Krizhevsky et al. 2012).

    Layers 2, 4 and 5 had two groups, one for each GPU; ``groups=1`` gives the network
    without. It is not torchvision's, which is a later and smaller one.

    Raises ``ValueError`` if ``groups`` does not divide the layers' channels.

    >>> with torch.device("meta"):
    ...     [profile(alexnet(groups), (1, 3, 227, 227)).params for groups in (2, 1)]
    [60965224, 62378344]
    """
    groups = integer("groups", groups, minimum=1)
    divides("groups", groups, in_channels=96, out_channels=256)  # of layer 2
    pool = nn.MaxPool2d(3, stride=2)
    features: list[nn.Module] = []
    for C_in, C_out, K, S, P, G, pooled in (
        (3, 96, 11, 4, 0, 1, True),
        (96, 256, 5, 1, 2, groups, True),
        (256, 384, 3, 1, 1, 1, False),
        (384, 384, 3, 1, 1, groups, False),
        (384, 256, 3, 1, 1, groups, True),
    ):
        features += [nn.Conv2d(C_in, C_out, K, S, P, groups=G), nn.ReLU()]
        features += (
            [nn.LocalResponseNorm(5, k=2.0)] if C_out in (96, 256) and K > 3 else []
        )
        features += [pool] if pooled else []
    return nn.Sequential(
        nn.Sequential(*features),
        nn.Flatten(),
        nn.Sequential(
            *(nn.Linear(256 * 6 * 6, 4096), nn.ReLU(), nn.Dropout()),
            *(nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout()),
            nn.Linear(4096, 1000),
        ),
    )


class Classifier(nn.Module):
    """``features``, then one value for each channel or position, then ``classifier``.

    >>> Classifier(nn.Conv2d(3, 8, 3), 1, nn.Linear(8, 10))(torch.ones(2, 3, 9, 7)).shape
    torch.Size([2, 10])
    """

    def __init__(self, features: nn.Module, size: int, classifier: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d(size)
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, classes) for ``images`` (N, 3, H, W)."""
        return self.classifier(self.avgpool(self.features(images)).flatten(1))


def vgg16() -> nn.Module:
    """Return VGG-16 for images of 224×224 (Simonyan and Zisserman 2015).

    >>> with torch.device("meta"):
    ...     profile(vgg16(), (1, 3, 224, 224)).params
    138357544
    """
    features: list[nn.Module] = []
    channels = 3
    for width, layers in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(layers):
            features += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        features.append(nn.MaxPool2d(2))
    linear = nn.Sequential(
        *(nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout()),
        *(nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout()),
        nn.Linear(4096, 1000),
    )
    return Classifier(nn.Sequential(*features), 7, linear)


class Bottleneck(nn.Module):
    """A ResNet's block: narrow by 1×1, convolve by 3×3, widen by 1×1, add the input.

    ``strides`` are those of the first two layers. Where the input has another shape than
    the output it passes a 1×1 layer too (He et al. 2016), or if only the size differs, a
    layer that skips pixels.

    >>> Bottleneck(64, 64, 256)(torch.ones(2, 64, 5, 7)).shape
    torch.Size([2, 256, 5, 7])
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        out_channels: int,
        strides: tuple[int, int] = (1, 1),
        groups: int = 1,
    ) -> None:
        super().__init__()
        first, second = strides
        self.conv1, self.bn1, _ = step(in_channels, width, 1, first)
        self.conv2, self.bn2, _ = step(width, width, 3, second, groups)
        self.conv3, self.bn3, _ = step(width, out_channels, 1)
        self.relu = nn.ReLU()
        self.downsample: nn.Module = nn.Identity()
        stride = first * second
        if in_channels != out_channels:
            self.downsample = step(
                in_channels, out_channels, 1, stride, activation=None
            )
        elif stride > 1:
            self.downsample = nn.MaxPool2d(1, stride)

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, out_channels, H_out, W_out) for ``input`` (N, in_channels, H, W)."""
        hidden = self.relu(self.bn1(self.conv1(input)))
        hidden = self.relu(self.bn2(self.conv2(hidden)))
        return self.relu(self.bn3(self.conv3(hidden)) + self.downsample(input))


class ResNet(nn.Module):
    """A ResNet of bottleneck blocks, with torchvision's names.

    >>> ResNet((1, 1), width=64, groups=1, stride="3x3").features(torch.ones(1, 3, 64, 96)).shape
    torch.Size([1, 512, 8, 12])
    """

    def __init__(
        self, blocks: tuple[int, ...], width: int, groups: int, stride: Stride
    ) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu = step(3, 64, 7, 2)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels, last = 64, len(blocks)
        for number, count in enumerate(blocks, start=1):
            inner, outer = width * 2 ** (number - 1), 64 * 4 * 2 ** (number - 1)
            stage = []
            for block in range(count):
                if stride == "last":
                    strides = (1, 2 if block == count - 1 and number < last else 1)
                elif block == 0 and number > 1:
                    strides = (1, 2) if stride == "3x3" else (2, 1)
                else:
                    strides = (1, 1)
                stage.append(Bottleneck(channels, inner, outer, strides, groups))
                channels = outer
            setattr(self, f"layer{number}", nn.Sequential(*stage))
        self.stages = len(blocks)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, 1000)

    def features(self, images: Tensor) -> Tensor:
        """Return the last map, for four stages (N, C, H / 32, W / 32)."""
        hidden = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for number in range(1, self.stages + 1):
            hidden = getattr(self, f"layer{number}")(hidden)
        return hidden

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, classes) for ``images`` (N, 3, H, W)."""
        return self.fc(self.avgpool(self.features(images)).flatten(1))


def resnet50(stride: Stride = "3x3") -> ResNet:
    """Return ResNet-50 for images of 224×224 (He et al. 2016).

    ``stride`` says which layer of a stage has its stride of 2: "3x3", as in torchvision, the
    3×3 layer of the first block; "1x1", as in the paper, the first 1×1 layer of that block;
    "last", as in TensorFlow's slim and in Araujo et al. 2019, the 3×3 layer of the last block
    of the stage before. All have the same parameters.

    >>> with torch.device("meta"):
    ...     [profile(resnet50(s), (1, 3, 224, 224)).macs for s in ("3x3", "1x1", "last")]
    [4089184256, 3857973248, 3482255360]
    """
    if stride not in ("3x3", "1x1", "last"):
        raise ValueError(f"stride={stride!r}: expected '3x3', '1x1' or 'last'")
    return ResNet((3, 4, 6, 3), width=64, groups=1, stride=stride)


def resnext50_32x4d() -> ResNet:
    """Return ResNeXt-50 with 32 groups of 4 channels, for images of 224×224 (Xie et al. 2017).

    >>> with torch.device("meta"):
    ...     profile(resnext50_32x4d(), (1, 3, 224, 224)).params
    25028904
    """
    return ResNet((3, 4, 6, 3), width=32 * 4, groups=32, stride="3x3")


def mobilenet_v1(separable: bool = True) -> nn.Module:
    """Return MobileNetV1 for images of 224×224 (Howard et al. 2017).

    With ``separable=False`` each depthwise separable layer is a standard one: the network
    that the paper's table 4 compares it with.

    >>> with torch.device("meta"):
    ...     [profile(mobilenet_v1(s), (1, 3, 224, 224)).macs // 10**6 for s in (True, False)]
    [568, 4867]
    """
    table = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
    table += [(512, 1)] * 5 + [(1024, 2), (1024, 1)]
    features, channels = [step(3, 32, stride=2)], 32
    for width, stride in table:
        if separable:
            features += [step(channels, channels, 3, stride, groups=channels)]
            features += [step(channels, width, 1)]
        else:
            features += [step(channels, width, 3, stride)]
        channels = width
    return Classifier(nn.Sequential(*features), 1, nn.Linear(1024, 1000))


class InvertedResidual(nn.Module):
    """MobileNetV2's block: widen by 1×1, convolve each channel, narrow by 1×1, add the input.

    It is added where it has the output's shape. With ``expansion=1`` nothing is widened.

    >>> InvertedResidual(16, 24, stride=2, expansion=6)(torch.ones(2, 16, 8, 6)).shape
    torch.Size([2, 24, 4, 3])
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        width = in_channels * expansion
        self.adds = in_channels == out_channels and stride == 1
        self.conv = nn.Sequential(
            *(
                [step(in_channels, width, 1, activation=nn.ReLU6)]
                if expansion > 1
                else []
            ),
            step(width, width, 3, stride, groups=width, activation=nn.ReLU6),
            *step(width, out_channels, 1, activation=None),
        )

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, out_channels, H_out, W_out) for ``input`` (N, in_channels, H, W)."""
        return input + self.conv(input) if self.adds else self.conv(input)


def mobilenet_v2() -> nn.Module:
    """Return MobileNetV2 for images of 224×224 (Sandler et al. 2018).

    >>> with torch.device("meta"):
    ...     profile(mobilenet_v2(), (1, 3, 224, 224)).params
    3504872
    """
    features: list[nn.Module] = [step(3, 32, stride=2, activation=nn.ReLU6)]
    channels = 32
    for expansion, width, blocks, stride in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        for block in range(blocks):
            first = stride if block == 0 else 1
            features.append(InvertedResidual(channels, width, first, expansion))
            channels = width
    features.append(step(channels, 1280, 1, activation=nn.ReLU6))
    classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 1000))
    return Classifier(nn.Sequential(*features), 1, classifier)


class XceptionBlock(nn.Module):
    """Xception's block: depthwise separable layers, and the input added.

    ``widths`` are the output channels of the layers. With a stride of 2, a pooling follows
    them, and the input passes a 1×1 layer.

    >>> XceptionBlock(64, (128, 128), stride=2)(torch.ones(2, 64, 9, 7)).shape
    torch.Size([2, 128, 5, 4])
    """

    def __init__(
        self,
        in_channels: int,
        widths: tuple[int, ...],
        stride: int = 1,
        relu: bool = True,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for number, width in enumerate(widths):
            layers += [nn.ReLU()] if relu or number else []
            layers += _separable_step(channels, width)
            channels = width
        layers += [nn.MaxPool2d(3, stride, padding=1)] if stride > 1 else []
        self.layers = nn.Sequential(*layers)
        self.skip: nn.Module = nn.Identity()
        if stride > 1:
            self.skip = step(in_channels, channels, 1, stride, activation=None)

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, widths[-1], H_out, W_out) for ``input`` (N, in_channels, H, W)."""
        return self.layers(input) + self.skip(input)


def _separable_step(in_channels: int, out_channels: int) -> list[nn.Module]:
    """Return Xception's layer: a depthwise and a pointwise convolution, then the normalisation."""
    return [
        nn.Conv2d(
            in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False
        ),
        *step(in_channels, out_channels, 1, activation=None),
    ]


def xception() -> nn.Module:
    """Return Xception for images of 299×299 (Chollet 2017).

    >>> with torch.device("meta"):
    ...     profile(xception(), (1, 3, 299, 299)).params
    22855952
    """
    features: list[nn.Module] = [
        *(nn.Conv2d(3, 32, 3, stride=2, bias=False), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU()),
        XceptionBlock(64, (128, 128), stride=2, relu=False),
        XceptionBlock(128, (256, 256), stride=2),
        XceptionBlock(256, (728, 728), stride=2),
        *(XceptionBlock(728, (728, 728, 728)) for _ in range(8)),
        XceptionBlock(728, (728, 1024), stride=2),
        *(*_separable_step(1024, 1536), nn.ReLU()),
        *(*_separable_step(1536, 2048), nn.ReLU()),
    ]
    return Classifier(nn.Sequential(*features), 1, nn.Linear(2048, 1000))


class Permute(nn.Module):
    """Put the axes of a tensor in another order.

    >>> Permute(0, 2, 3, 1)(torch.ones(2, 3, 5, 7)).shape
    torch.Size([2, 5, 7, 3])
    """

    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, input: Tensor) -> Tensor:
        """Return ``input`` with its axes in the new order."""
        return input.permute(self.order)


class LayerNorm2d(nn.LayerNorm):
    """Normalise the channels of each pixel of (N, C, H, W).

    >>> LayerNorm2d(3)(torch.ones(2, 3, 5, 7)).shape
    torch.Size([2, 3, 5, 7])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised ``input``."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """ConvNeXt's block: 7×7 depthwise, widen four times, narrow, add the input.

    The two pointwise steps are linear layers over the channels, which stand last there.

    >>> ConvNeXtBlock(8)(torch.ones(2, 8, 9, 7)).shape
    torch.Size([2, 8, 9, 7])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            Permute(0, 2, 3, 1),
            nn.LayerNorm(channels, eps=1e-6),
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Linear(4 * channels, channels),
            Permute(0, 3, 1, 2),
        )
        self.layer_scale = nn.Parameter(torch.full((channels, 1, 1), 1e-6))

    def forward(self, input: Tensor) -> Tensor:
        """Return a map of the shape of ``input``, (N, channels, H, W)."""
        return input + self.layer_scale * self.block(input)


def convnext_tiny() -> nn.Module:
    """Return ConvNeXt-T for images of 224×224 (Liu et al. 2022).

    >>> with torch.device("meta"):
    ...     profile(convnext_tiny(), (1, 3, 224, 224)).params
    28589128
    """
    features: list[nn.Module] = []
    channels = 3
    for width, blocks in ((96, 3), (192, 3), (384, 9), (768, 3)):
        norm = LayerNorm2d(96 if channels == 3 else channels, eps=1e-6)
        size = 4 if channels == 3 else 2
        down = nn.Conv2d(channels, width, size, stride=size)
        features.append(
            nn.Sequential(down, norm) if channels == 3 else nn.Sequential(norm, down)
        )
        features.append(nn.Sequential(*(ConvNeXtBlock(width) for _ in range(blocks))))
        channels = width
    norm = LayerNorm2d(channels, eps=1e-6)
    head = nn.Sequential(
        nn.Unflatten(1, (channels, 1, 1)), norm, nn.Flatten(), nn.Linear(channels, 1000)
    )
    return Classifier(nn.Sequential(*features), 1, head)
