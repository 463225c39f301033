"""ONNX Runtime's deformable convolution: a second opinion that shares no code with torch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper


def deform_conv2d(
    input: np.ndarray,
    offset: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    mask: np.ndarray | None = None,
    threads: int = 1,
) -> Callable[[], np.ndarray]:
    """Return a function that computes ``DeformConv`` of ONNX on these arrays, all float32."""
    kernel_size = list(weight.shape[2:])
    given = {"input": input, "weight": weight, "offset": offset}
    given |= {} if bias is None else {"bias": bias}
    given |= {} if mask is None else {"mask": mask}
    node = helper.make_node(
        "DeformConv",
        [
            "input",
            "weight",
            "offset",
            *(name * (name in given) for name in ("bias", "mask")),
        ],
        ["output"],
        kernel_shape=kernel_size,
        strides=list(stride),
        pads=[*padding, *padding],
        dilations=list(dilation),
        group=input.shape[1] // weight.shape[1],
        offset_group=offset.shape[1] // (2 * kernel_size[0] * kernel_size[1]),
    )
    graph = helper.make_graph(
        [node],
        "deform_conv2d",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape)
            for name, array in given.items()
        ],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9
    )
    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Its threads would spin for a while after each run, on the cores of who runs next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, given)[0]
