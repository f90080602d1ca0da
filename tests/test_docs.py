"""Pages can be made from the docstrings."""

import pytest

import project.attacks


@pytest.mark.filterwarnings("ignore")
def test_pages_show_every_public_attack_and_part(tmp_path):
    pdoc = pytest.importorskip("pdoc", reason="pages need the extra docs")
    pdoc.render.configure(docformat="google", math=True)
    pdoc.pdoc("project.attacks", output_directory=tmp_path)
    page = (tmp_path / "project" / "attacks.html").read_text()
    assert all(f'id="{name}"' in page for name in project.attacks.__all__)
