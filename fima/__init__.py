"""FIMA and MaCLR: train motion-aware video representations (the training core; drawing lives in ``analysis``).

Importing this package does not import torch: the submodules do, when they are asked for.
"""

__version__ = "0.1.0"
