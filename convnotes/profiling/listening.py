"""Listening to torch's functions: which calls multiply, and which module makes them."""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from types import CodeType, FrameType, TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from convnotes.costs import Cost
from convnotes.profiling.products import empty, tensors_in
from convnotes.profiling.report import Profile, Row, Shape
from convnotes.profiling.shortcuts import (
    FACTORIES,
    LAYERS,
    MOVES,
    QUESTIONS,
    SHAPES,
    Layer,
    makes,
)
from convnotes.profiling.variants import ARGUMENT_CHECK, VARIANTS

DEVICE = Tensor.device.__get__
META = torch.device("meta")


class Listener(TorchFunctionMode):
    """Hears every call of a torch function while a module runs, and makes the rows."""

    def __init__(self, module: nn.Module, starts: CodeType) -> None:
        super().__init__()
        self.module = module
        self.starts = starts  # the function that calls the module
        self.names = {
            id(each): name or type(module).__name__
            for name, each in module.named_modules()
        }
        self.parameters = {id(each) for each in module.parameters()}
        self.in_no_row = set(self.parameters)
        self.rows: list[Row] = []
        self.not_counted: Counter[str] = Counter()
        self.macs: int | None = None  # of the call that is running
        self.shadows: dict[int, tuple[Tensor, Tensor]] = {}
        self.heard: FrameType | None = (
            None  # the package's function that had the last row
        )

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if torch._C._functorch.peek_interpreter_stack() is None:  # vmap hides axes
            if func in LAYERS:
                layer = LAYERS[func](*args, **kwargs)
                if layer is not None:
                    return self.layer(layer, *args, **kwargs)
            elif func in SHAPES:
                shape = SHAPES[func](*args, **kwargs)
                if shape is not None:
                    in_place = name.endswith("_") or kwargs.get("inplace", False)
                    if not in_place or shape == tuple(args[0].shape):
                        return self.uncounted(name, args[0], shape, in_place)
        if name == "__get__":
            return META if func == DEVICE else func(*args, **kwargs)
        if name in QUESTIONS:
            if name == "is_floating_point":
                self.argument_check(sys._getframe(1))
            return func(*args, **kwargs)
        return self.run(func, name, args, kwargs)

    def layer(
        self, layer: Layer, input: Tensor, weight: Tensor, *rest: Any, **options: Any
    ) -> Tensor:
        """Make the row of a layer that is not run; return its output, without values."""
        bias = rest[0] if rest else options.get("bias")
        who, inside = self.caller(sys._getframe(2))
        if not inside:
            params = self.claim(who, weight, bias)
            cost = Cost(params, layer.cost.macs, layer.cost.elements_moved)
            self.add(who, layer.kind, input.shape, layer.output_shape, cost)
        return empty(layer.output_shape, input.dtype)

    def uncounted(
        self, name: str, input: Tensor, shape: Shape, in_place: bool
    ) -> Tensor:
        """Note a call that is neither run nor counted; return its output, without values."""
        self.note(name, input)
        return input if in_place else empty(shape, input.dtype)

    def run(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        """Run a function on shapes, with all that is in its way to the meta device removed."""
        given: list[Tensor] = []
        if name == "__getitem__":  # a mask keeps its values: they say how many are left
            args = self.on_meta(args[0], given), *args[1:]
        else:
            args = self.on_meta(args, given)
        kwargs = self.on_meta(kwargs, given)
        if name in MOVES:
            if name != "to":
                return args[0]
            args = args[0], *(_no_device(one) for one in args[1:])
        if name in FACTORIES or "device" in kwargs:
            kwargs["device"] = META
        before, self.macs = self.macs, 0
        try:
            made = func(*args, **kwargs)
            macs = self.macs
        finally:
            self.macs = before
        if name not in MOVES and not makes(name):
            self.ran(name, given, made, macs)
        return made

    def ran(self, name: str, given: list[Tensor], made: Any, macs: int) -> None:
        """Make the row of a function that has run, or note that it is not counted."""
        output = next(tensors_in(made), None)
        if output is None or not given:
            return
        if not macs:
            in_place = name.endswith("_") and not name.endswith("__")
            same = any(output is one for one in given)
            if in_place or not (same or output._is_view()):
                self.note(name, output)
            return
        who, inside = self.caller(sys._getframe(2))
        if not inside:
            tensors = {id(one): one for one in given}.values()
            elements = sum(one.numel() for one in tensors) + output.numel()
            params = self.count(given)
            kind = name.strip("_")
            input = given[1 if kind.startswith(("add", "badd")) else 0]
            cost = Cost(params, macs, elements)
            self.add(who, kind, input.shape, output.shape, cost)

    def note(self, name: str, output: Tensor) -> None:
        """Note a call that is not counted, unless it is a part of a function of this package."""
        if output.is_floating_point() and not self.caller(sys._getframe(2))[1]:
            self.not_counted[name.strip("_")] += 1

    def argument_check(self, frame: FrameType) -> None:
        """Make the row of a function of this package, at the check of its arguments."""
        function = frame.f_back
        if frame.f_code is not ARGUMENT_CHECK or function is None:
            return
        read = VARIANTS.get(function.f_code)
        if read is None or function is self.heard:
            return
        who, inside = self.caller(function.f_back)
        if inside:
            return
        try:
            layer = read(function.f_locals)
        except Exception:  # arguments that do not fit: the function will say so
            return
        if layer is None:
            return
        self.heard = function
        given = dict(function.f_locals)
        activations = {
            name: given.pop(name, None) for name in ("input", "offset", "mask")
        }
        weights = (one for one in given.values() if isinstance(one, Tensor))
        input, params = activations["input"], self.claim(who, *weights)
        cost = Cost(params, layer.cost.macs, layer.cost.elements_moved)
        self.add(who, layer.kind, input.shape, layer.output_shape, cost)

    def add(
        self,
        who: nn.Module,
        kind: str,
        input_shape: Iterable[int],
        output_shape: Iterable[int],
        cost: Cost,
    ) -> None:
        """Add a row."""
        name = self.names[id(who)]
        self.rows.append(Row(name, kind, tuple(input_shape), tuple(output_shape), cost))

    def claim(self, who: nn.Module, *weights: Tensor | None) -> int:
        """Count the parameters that a layer has, and no row before it.

        They are those among the ``weights``. Where one of these is no parameter but was
        computed, from others, they are all of a module without children.
        """
        given = [one for one in weights if one is not None]
        computed = not all(id(one) in self.parameters for one in given)
        if computed and {name for name, _ in who.named_children()} <= {
            "parametrizations"
        }:
            given = list(who.parameters())
        return self.count(given)

    def count(self, tensors: Sequence[Tensor]) -> int:
        """Count the values of the parameters among tensors that are in no row yet."""
        new = {id(one): one for one in tensors if id(one) in self.in_no_row}
        self.in_no_row -= set(new)
        return sum(one.numel() for one in new.values())

    def caller(self, frame: FrameType | None) -> tuple[nn.Module, bool]:
        """Return the innermost module that is calling, and whether a row is being computed."""
        who = None
        while frame is not None and frame.f_code is not self.starts:
            if frame is self.heard:
                return self.module, True
            code = frame.f_code
            if who is None and code.co_argcount and code.co_varnames[0] == "self":
                it = frame.f_locals.get("self")
                who = it if id(it) in self.names else None
            frame = frame.f_back
        return self.module if who is None else who, False

    def place(self, traceback: TracebackType | None) -> str:
        """Return the name of the innermost module in which an error was raised."""
        name = type(self.module).__name__
        while traceback is not None:
            it = traceback.tb_frame.f_locals.get("self")
            name = self.names.get(id(it), name)
            traceback = traceback.tb_next
        return name

    def on_meta(self, value: Any, given: list[Tensor]) -> Any:
        """Return an argument with a tensor without values in each tensor's place.

        The tensors themselves are appended to ``given``. One with values has one shadow, so
        that what happens to it in place stays.
        """
        if isinstance(value, Tensor):
            given.append(value)
            if value.is_meta:
                return value
            if id(value) not in self.shadows:
                shadow = torch.empty_strided(
                    value.shape, value.stride(), dtype=value.dtype, device=META
                )
                self.shadows[id(value)] = value, shadow
            return self.shadows[id(value)][1]
        if type(value) in (tuple, list):
            return type(value)(self.on_meta(one, given) for one in value)
        if type(value) is dict:
            return {key: self.on_meta(one, given) for key, one in value.items()}
        return value

    def profile(self) -> Profile:
        """Return what has been heard."""
        other: Counter[str] = Counter()
        for module in self.module.modules():
            own = list(module.parameters(recurse=False))
            if any(id(one) in self.in_no_row for one in own):
                other[type(module).__name__] += self.count(own)
        calls = dict(sorted(self.not_counted.items()))
        return Profile(tuple(self.rows), dict(other), calls)


def _no_device(value: Any) -> Any:
    return META if isinstance(value, torch.device | str) else value
