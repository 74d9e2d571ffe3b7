"""The committed pages in a real browser, on a desk and on a phone: nothing is fetched, fails or overflows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import headless
import pytest
from headless import Browser

KEPT = Path(__file__).parents[1] / "experiments" / "results"
PAGES = sorted(KEPT.rglob("leaderboard.html"))
CHROMIUM = headless.program()
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason=f"none of {', '.join(headless.NAMES)} is here; apt-get install chromium-headless-shell"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert CHROMIUM is not None
    with headless.browser(CHROMIUM, tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_a_page_is_alone_and_fits(page: Path, width: int, browser: Browser) -> None:
    seen = browser.open(page.as_uri(), width)
    assert seen.requests == [page.as_uri()], "the page itself, and nothing else"
    assert not seen.complaints
    assert seen.width <= width, "tables and drawings scroll in their own frames"


def test_what_would_be_wrong_is_seen(tmp_path: Path, browser: Browser) -> None:
    page = tmp_path / "bad.html"
    page.write_text(
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="gone.css">'
        '<script>nobody()</script><script>console.log("psst")</script><div style="width: 700px">wide</div>'
    )
    seen = browser.open(page.as_uri(), 390)
    assert len(seen.requests) == 2 and seen.requests[1].endswith("gone.css")
    said = str(seen.complaints)
    assert "nobody is not defined" in said and "psst" in said
    assert seen.width >= 700
