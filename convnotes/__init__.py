"""The convolutions of deep learning, each as one gather and one contraction.

There is one module for each chapter of the book, and a few that the chapters share;
see ``convnotes.standard`` first.
"""

__version__ = "0.1.0"
