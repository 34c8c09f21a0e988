"""Methods of self-supervised training: plain modules that turn views into named losses."""

from fima.methods.base import Method
from fima.methods.fima import FIMA
from fima.methods.loading import export_method, load_method, method_state, restore_method, save_method
from fima.methods.maclr import MaCLR
from fima.methods.moco import MoCo

__all__ = [
    "FIMA",
    "MaCLR",
    "Method",
    "MoCo",
    "export_method",
    "load_method",
    "method_state",
    "restore_method",
    "save_method",
]
