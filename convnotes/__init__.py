"""The convolutions of deep learning, each as one gather and one contraction.

The modules are the book's chapters; see ``convnotes.standard`` first.
"""

__version__ = "0.1.0"
