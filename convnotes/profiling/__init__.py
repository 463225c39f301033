"""Where the parameters and the multiplications of a network are, without computing it.

``profile`` calls the network on tensors that have a shape and no values, those of torch's
"meta" device, and listens. A convolution or a linear layer is not run: its output's shape
and its cost are integer arithmetic. Matrix products are counted below, where torch has
taken apart what they are part of: einsum, attention, recurrent layers. Nothing is hooked
to the network and no weight is moved or copied, so there is nothing to undo: the call
stack says which module is calling, and which function of this package.
"""

from convnotes.profiling.report import Profile, Row
from convnotes.profiling.run import profile

__all__ = ["Profile", "Row", "profile"]
