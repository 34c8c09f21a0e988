"""The notebooks, executed as papermill and JupyterLab users run them, and whole reports."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest

from analysis.cli import main
from analysis.settings import Settings
from analysis.studies import run
from fima.files.claims import RECORDS
from tests.progress import without_progress

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent


def _papermill(repo_dir, notebook, target, *parameters):
    words = [str(BIN / "papermill"), notebook, str(target), "--no-progress-bar", *parameters]
    done = subprocess.run(words, cwd=repo_dir, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr[-3000:]
    return nbformat.read(target, as_version=4)


def _outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


ALL = (
    "cam",
    "affinity",
    "temporal",
    "localize",
    "mover",
    "sensitivity",
    "attention",
    "pca",
    "attribution",
    "faithfulness",
    "embedding",
    "mechanism",
)


@pytest.mark.parametrize("name", ALL)
def test_as_they_stand(repo_dir, tmp_path, name):
    notebook = _papermill(repo_dir, f"analysis/{name}.ipynb", tmp_path / "done.ipynb")
    pages = [output["data"].get("text/html", "") for output in _outputs(notebook) if "data" in output]
    assert any("data:image/png;base64," in page and "<table>" in page for page in pages)
    assert not [output for output in _outputs(notebook) if output.get("name") == "stderr"]


def test_layers_of_two_checkpoints(repo_dir, tmp_path):
    few = ("-p", "data", "shapes:camera,videos=3,size=56", "-y", "beside: [tiny-vd]")
    notebook = _papermill(repo_dir, "analysis/layers.ipynb", tmp_path / "done.ipynb", *few)
    pages = [output["data"].get("text/html", "") for output in _outputs(notebook) if "data" in output]
    assert any("data:image/png;base64," in page for page in pages)
    assert any("auroc_foreground@stage3" in page for page in pages)
    assert not [output for output in _outputs(notebook) if output.get("name") == "stderr"]


def test_background_bias(repo_dir, tmp_path):
    few = ("-p", "train_videos", "40", "-p", "test_videos", "30")
    notebook = _papermill(repo_dir, "analysis/bias.ipynb", tmp_path / "done.ipynb", *few)
    pages = [output["data"].get("text/html", "") for output in _outputs(notebook) if "data" in output]
    assert any("data:image/png;base64," in page and page.count("; gap ") == 3 for page in pages)
    assert not [output for output in _outputs(notebook) if output.get("name") == "stderr"]


FOR_JUPYTERLAB = (
    "1_quick_start",
    "2_own_checkpoint",
    "3_own_backbone",
    "4_two_trainings",
    "5_own_token_network",
    "6_transformer_against_cnn",
)


@pytest.mark.parametrize("name", FOR_JUPYTERLAB)
def test_for_jupyterlab(repo_dir, tmp_path, name):
    notebook = _papermill(repo_dir, f"notebooks/{name}.ipynb", tmp_path / "done.ipynb")
    data = [output["data"] for output in _outputs(notebook) if "data" in output]
    assert sum("data:image/png;base64," in one.get("text/html", "") for one in data) >= 1
    assert not [output for output in _outputs(notebook) if output.get("name") == "stderr"]
    kept = [
        output
        for cell in nbformat.read(repo_dir / "notebooks" / f"{name}.ipynb", 4).cells
        for output in cell.get("outputs", [])
    ]
    assert not kept


def test_explore_as_it_stands(repo_dir, tmp_path):
    notebook = _papermill(repo_dir, "notebooks/explore.ipynb", tmp_path / "done.ipynb")
    views = [
        output for output in _outputs(notebook) if "application/vnd.jupyter.widget-view+json" in output.get("data", {})
    ]
    assert len(views) == 1
    assert not [output for output in _outputs(notebook) if output.get("name") == "stderr"]


def test_with_parameters_the_numbers_are_the_command_lines(repo_dir, tmp_path, clips_dir):
    given = ["-p", "video", str(clips_dir / "dog.mp4"), "-p", "size", "56", "-p", "num_frames", "8"]
    _papermill(repo_dir, "analysis/affinity.ipynb", tmp_path / "done.ipynb", *given, "-p", "out", str(tmp_path / "nb"))
    argv = ["affinity", "--video", str(clips_dir / "dog.mp4"), "--size", "56", "--num-frames", "8"]
    assert main([*argv, "--out", str(tmp_path / "cli")]) == 0
    assert (tmp_path / "nb" / "affinity.npz").read_bytes() == (tmp_path / "cli" / "affinity.npz").read_bytes()
    reports = [json.loads((tmp_path / way / "affinity.json").read_text()) for way in ("nb", "cli")]
    for report in reports:
        del report["created"]
    assert reports[0] == reports[1]
    study = run("affinity", Settings(video=str(clips_dir / "dog.mp4"), size=56, num_frames=8))
    np.testing.assert_array_equal(
        np.load(tmp_path / "nb" / "affinity.npz")["affinity_mean"], study.arrays["affinity_mean"]
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory, clips_dir, golden):
    """A report of two checkpoints, one with an ugly name, on a video with an uglier one."""
    import torch

    folder = tmp_path_factory.mktemp("report")
    ckpt = folder / "my <i>ckpt & co.pth.tar"
    torch.save({"state_dict": {f"module.{k}": v for k, v in golden.state("fima_i3d").items()}}, ckpt)
    video = folder / "<img src=x onerror=alert(1)> 100%.mp4"
    video.write_bytes((clips_dir / "dog.mp4").read_bytes())
    from fima.checkpoints import save_backbone, untrained_backbone

    tiny = untrained_backbone("tiny", seed=1)
    save_backbone(folder / "tiny.pth", tiny.backbone, arch="tiny", input=tiny.input)
    out = folder / "out"
    code = main(["report", "--ckpt", str(ckpt), str(folder / "tiny.pth"), "--video", str(video),
                 "--size", "64", "--num-frames", "8", "-p", "hop", "12", "--notebooks", "--out", str(out)])  # fmt: skip
    assert code == 0
    return out


def test_a_report_holds_notebook_page_and_results_for_each(report):
    folders = sorted(path.name for path in report.iterdir() if path.is_dir())
    assert len(folders) == 2
    for folder in folders:
        for measure in ("cam", "affinity", "temporal"):
            for kind in ("ipynb", "html", "png", "npz", "json"):
                assert (report / folder / f"{measure}.{kind}").stat().st_size > 0
        assert np.load(report / folder / "temporal.npz")["hop"] == 12
    assert {path.name for path in report.rglob(".*")} <= {RECORDS}


def test_the_index_opens_in_a_browser_without_an_error(report):
    from playwright.sync_api import sync_playwright

    chromium = next(
        (path for path in map(Path, ("/usr/bin/chromium", "/usr/bin/chromium-browser")) if path.exists()), None
    )
    if chromium is None:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"], timeout=120_000)
        page = browser.new_page(viewport={"width": 1100, "height": 900})
        page.set_default_timeout(120_000)
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        # Leaving a page while its film is read ahead counts as a failed request; that films play is tested below.
        page.on("requestfailed", lambda request: None if request.url.endswith(".mp4") else errors.append(request.url))
        page.on("dialog", lambda dialog: errors.append(f"dialog: {dialog.message}"))
        pages = [report / "index.html", *sorted(report.rglob("*/*.html"))]
        assert len(pages) >= 7
        for path in pages:
            page.goto(path.as_uri())
            images = page.evaluate("[...document.images].map(image => [image.complete, image.naturalWidth])")
            assert images, path
            assert all(complete and width > 0 for complete, width in images), path
            remote = page.evaluate("performance.getEntriesByType('resource').map(r => r.name)")
            assert not [name for name in remote if name.startswith("http")]
        page.goto(pages[0].as_uri())
        widths = page.evaluate(
            "Promise.all([...document.querySelectorAll('video')]"
            ".map(async video => { await video.play(); return video.videoWidth }))"
        )
        assert len(widths) >= 2
        assert all(widths)
        links = page.eval_on_selector_all("a", "links => links.map(link => link.href)")
        from urllib.parse import unquote, urlparse

        assert all(Path(unquote(urlparse(link).path)).exists() for link in links)
        page.set_viewport_size({"width": 380, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 380
        browser.close()
    assert errors == []


def test_a_failed_notebook_leaves_no_report(tmp_path, capsys):
    code = main(
        ["report", "--notebook", "affinity", "--size", "8", "--num-frames", "4", "--out", str(tmp_path / "out")]
    )
    assert code == 2
    error = without_progress(capsys.readouterr().err)
    assert error.count("\n") == 1
    assert "at least 2 positions" in error
    assert not (tmp_path / "out").exists()
