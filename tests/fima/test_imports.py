import subprocess
import sys

import pytest

HEAVY = ("torch", "matplotlib", "seaborn", "captum", "lightning", "analysis", "sklearn", "scipy", "av", "cv2", "kornia")


def modules_after(code):
    report = f"import sys\n{code}\nprint(*sorted(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()


@pytest.mark.parametrize(
    "code",
    [
        "import fima",
        "import fima.input_spec, fima.errors, fima.commands.base",
        "from fima.cli import main; assert main(['--help']) == 0",
        "from fima.cli import main; assert main(['info', '--help']) == 0",
        "from fima.cli import main; assert main(['info']) == 2",
        "from fima.cli import main; assert main(['pretrain', '--help']) == 0",
        "from fima.cli import main; assert main(['pretrain', '--recipe', 'none']) == 2",
        "from fima.cli import main; assert main(['export', '--help']) == 0",
    ],
    ids=["package", "light-modules", "help", "info-help", "bad-flags", "pretrain-help", "bad-recipe", "export-help"],
)
def test_light_without_torch(code):
    assert modules_after(code) == []


def test_checkpoints_and_models_bring_torch_alone():
    assert modules_after("import fima.checkpoints, fima.models, fima.transforms.normalize") == ["torch"]
