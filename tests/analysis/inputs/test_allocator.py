"""Freed tensors leave the process."""

import resource
import subprocess
import sys

import pytest

# Large tensors with something small after each: the heap cannot shrink below the last small one.
_CODE = """
import torch
from analysis.inputs.allocator import return_large_blocks
{setting}
def rss():
    return int(open("/proc/self/statm").read().split()[1]) * {page}
torch.empty(30 << 20, dtype=torch.uint8)  # glibc raises its limit when a large block is freed
before = rss()
pins, large = [], []
for _ in range(40):
    large.append(torch.zeros(8 << 20, dtype=torch.uint8))
    pins.append(torch.zeros(1000))
del large
print(rss() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_large_blocks_go_back_to_the_system():
    page = resource.getpagesize()
    kept = {
        setting: int(subprocess.check_output([sys.executable, "-c", _CODE.format(setting=setting, page=page)]))
        for setting in ("assert return_large_blocks()", "")
    }
    assert kept["assert return_large_blocks()"] < 20 << 20
    assert kept[""] > 100 << 20  # the case exists: without the setting most of it stays
