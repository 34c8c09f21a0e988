from analysis.cli import main
from analysis.plotting.common.fonts import fallbacks, missing_letters
from analysis.plotting.style import printed


def test_letters_that_no_font_has_are_found_once_each():
    assert missing_letters("añoß Ωж – half ½") == ""
    private = "\ue000\ue001"  # for private use: in no font
    assert missing_letters(f"a{private}b{private}") == ""  # and not printable, as no name should hold
    unassigned_script = "\U00016800\U00016801"  # Bamum, in none of the fonts of many scripts
    assert missing_letters(f"a{unassigned_script}a\U00016800") == unassigned_script


def test_figures_fall_back_on_what_is_installed():
    import matplotlib as mpl

    with printed():
        assert mpl.rcParams["font.sans-serif"] == ["DejaVu Sans", *fallbacks()]


def test_the_command_says_which_letters_are_boxes(tmp_path, capsys, monkeypatch):
    import analysis.plotting.common.fonts as fonts

    monkeypatch.setattr(fonts, "fallbacks", tuple)
    (tmp_path / "v").mkdir()
    from tests.analysis.studies.common.test_notes import write
    from tests.media import moving_photograph

    write(tmp_path / "v" / "漢字.mp4", list(moving_photograph(3, 40, 64, 64)))
    assert main(["cam", "--video", str(tmp_path / "v" / "漢字.mp4"), "--out", str(tmp_path / "o")]) == 0
    assert "no font here has the letters 漢字" in " ".join(capsys.readouterr().out.split())
