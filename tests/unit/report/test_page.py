"""The report in a real browser: it opens from disk, says what the summary says, and obeys."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hud import figures
from hud.analysis.snapshot import Analyzer
from hud.export import summary
from hud.export.diff import cells
from hud.model import Losses, Rung
from hud.report import blockers
from hud.report import page as report

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tests.browser import Browser

    Show = Callable[..., Browser]

TEXT = "document.querySelector({}).innerText"


def text(browser: Browser, selector: str) -> str:
    return str(browser.run(TEXT.format(json.dumps(selector))))


def texts(browser: Browser, selector: str) -> list[str]:
    script = f"[...document.querySelectorAll({json.dumps(selector)})].map((one) => one.innerText)"
    found: list[str] = browser.run(script)
    return found


@pytest.fixture(params=["rich", "demo", "idle", "crowd", "hostile", "compared"])
def run(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def test_it_opens_from_disk_in_silence(shown: Show, run: Any) -> None:
    """No message on the console, no violation of its policy, nothing asked for but the file."""
    browser = shown(run)
    for theme in ("dark", "light"):
        browser.media(prefers_color_scheme=theme)
    browser.size(390, 800)
    browser.run("document.querySelectorAll('.blockers .toggle').forEach((one) => one.click())")
    assert browser.told == []
    assert [address.partition(":")[0] for address in browser.asked] == ["file"]
    wide = "document.documentElement.scrollWidth <= innerWidth"
    assert browser.run(wide), "nothing is wider than a telephone"


def test_it_says_what_the_summary_says(shown: Show, run: Any) -> None:
    browser = shown(run)
    said = [text(browser, "h1"), *texts(browser, "#verdict .said")]
    for sentence in summary.verdict(run.snapshot):
        assert any(sentence in one for one in said)
    browser.run("document.querySelector('#all')?.click()")
    rows = texts(browser, ".blockers tr.row")
    assert len(rows) == len(run.snapshot.blockers)
    for row, blocker in zip(rows, run.snapshot.blockers, strict=True):
        shares = row.split("\t")
        assert shares[1] == figures.share(run.snapshot.share(blocker))
        assert shares[4] == figures.short_count(blocker.count)
        assert shares[6] == figures.duration(blocker.max_ns)
        assert shares[7] == blocker.cause.value
    shown_facts = text(browser, "#sure")
    for _, sentence in summary.evidence(run.snapshot):
        assert sentence in shown_facts


def test_what_the_target_is_called_stays_text(shown: Show, hostile: Any) -> None:
    browser = shown(hostile)
    browser.click(".blockers .toggle")
    assert browser.run("document.querySelectorAll('img, iframe, object, embed').length") == 0
    assert browser.run("document.scripts.length") == 2
    assert "</script><img" in text(browser, ".detail")
    assert "</script><img" in browser.run("document.title")
    assert browser.told == []
    link = browser.run("location.hash")
    assert len(texts(shown(hostile, link), ".blockers tbody.open")) == 1


@given(text=st.text())
@example(text="</script><!--<script>\u2028\u2029&amp;]]>")
def test_no_name_can_end_the_data(text: str) -> None:
    written = report._as_json({"name": text})
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written)["name"] == text


def test_a_script_that_is_not_the_pages_own_does_not_run(shown: Show, demo: Any) -> None:
    """The policy holds, whoever would break out of a name."""
    browser = shown(demo)
    browser.run("""(() => {
        const script = document.createElement("script");
        script.append("window.broken = true");
        document.body.append(script);
    })()""")
    assert browser.run("window.broken") is None
    with pytest.raises(AssertionError, match="TrustedHTML"):
        browser.run("document.body.innerHTML = '<p>'")


def test_numbers_are_written_as_everywhere_else(shown: Show, idle: Any) -> None:
    """figures.js says what hud.figures says."""
    browser = shown(idle)
    times = [0, 1, 999, 1000, 3_140_000, 92_000_000, 999_400_000, 999_600_000, 14_260_000_000]
    times += [99_900_000_000, 134_000_000_000, 10_920_000_000_000]
    script = f"{json.dumps(times)}.map(duration)"
    assert browser.run(script) == [figures.long_duration(ns) for ns in times]
    shares = [0, 0.0001, 0.0006, 0.0123, 0.0994, 0.0996, 0.31, 0.9901, 0.9999, 1]
    assert browser.run(f"{json.dumps(shares)}.map(percent)") == list(map(figures.percent, shares))


def test_a_moment_is_as_exact_as_the_axis(shown: Show, idle: Any) -> None:
    browser = shown(idle)
    said = {"3e9, 1e9": "3 s", "3.25e9, 5e7": "3.25 s", "123.5e9, 1e8": "2:03.5"}
    said |= {"600e9, 300e9": "10 min", "3600e9, 600e9": "1 h", "65e9, 1e9": "1:05"}
    for arguments, wanted in said.items():
        assert browser.run(f"moment({arguments})") == wanted


def test_a_row_opens_by_click_by_key_and_by_link(shown: Show, rich: Any) -> None:
    browser = shown(rich)
    browser.click(".blockers .toggle")
    assert browser.run("location.hash").startswith("#blocker=")
    assert "bcrypt::hash" in text(browser, ".detail")
    assert "▶ 88" in text(browser, ".detail .code")
    browser.click(".blockers .toggle")
    assert browser.run("document.querySelector('.detail').hidden")
    browser.run("document.querySelectorAll('.blockers .toggle')[1].focus()")
    browser.key("Enter", "\r")
    assert "store::Index::save" in text(browser, ".blockers tbody:nth-of-type(2) .detail")


def test_all_is_reached_by_tab(shown: Show, rich: Any) -> None:
    """What leads past the navigation comes first, then the page in its order."""
    browser = shown(rich)
    met = []
    for _ in range(30):
        browser.key("Tab")
        met.append(browser.run("document.activeElement.id || document.activeElement.className"))
    assert met[:2] == ["skip", "theme"]
    rest = [one for one in met if one in ("search", "toggle", "timeline", "root") or "k" in one]
    assert rest.index("search") < rest.index("toggle")
    assert met.count("toggle") == len(rich.snapshot.blockers)
    assert sum("root" in one for one in met) == 1, "of the flame graph one call"


def test_a_link_leads_to_a_blocker(shown: Show, rich: Any) -> None:
    name = rich.snapshot.blockers[3].function
    browser = shown(rich, f"#blocker={name}")
    assert len(texts(browser, ".blockers tbody.open")) == 1
    assert browser.run("document.activeElement.title") == name
    browser.until("scrollY > 0")


def test_the_flame_graph_zooms_searches_and_leads_to_the_blocker(shown: Show, rich: Any) -> None:
    browser = shown(rich)
    whole = figures.long_duration(rich.snapshot.blocked_ns)
    assert text(browser, "#flame .told").startswith(f"all blocked time: {whole}, 100 %")
    label = ".flames [aria-label^='store::Index::save']"
    browser.click(label)
    width = f'document.querySelector("{label}").getBoundingClientRect().width'
    assert browser.run(width) > 1000
    browser.click("#flame .told a")
    browser.until("document.querySelectorAll('.blockers tbody.open').length")
    assert "store::Index::save" in text(browser, ".blockers tbody.open")
    browser.run("document.querySelector('.flames [tabindex=\"0\"]').focus()")
    browser.key("Escape")
    assert browser.run(width) < 1000
    browser.key("/")
    for letter in "bcrypt":
        browser.key(letter, letter)
    found = text(browser, "#found")
    assert found.startswith("1 of 6 blockers, ")
    assert browser.run("document.querySelectorAll('.flames .found').length") >= 2


def test_the_flame_graph_adds_up(shown: Show, run: Any) -> None:
    """To the nanosecond, where nothing is left out."""
    browser = shown(run)
    assert browser.run("FLAME.root.ns") == run.snapshot.blocked_ns
    assert browser.run("DATA.left_ns") == 0


def test_the_timeline_zooms_and_opens_what_is_there(shown: Show, rich: Any) -> None:
    browser = shown(rich)
    browser.drag("#timeline canvas", 0.3, 0.5)
    width = browser.run("TIME.to - TIME.from") / browser.run("TIME.cells")
    assert 0.1 < width < 0.35
    browser.run("document.querySelector('#timeline canvas').focus()")
    browser.key("ArrowRight")
    told = text(browser, "#timeline .told")
    assert re.match(r"W0, .* s to .* s: blocked for .* ms, most of it by blocker \d", told)
    browser.key("Enter")
    browser.until("location.hash.startsWith('#blocker=')")
    browser.key("0", "0")
    browser.run("document.querySelector('#timeline canvas').focus()")
    browser.key("0", "0")
    assert browser.run("TIME.to - TIME.from") == browser.run("TIME.cells")


def test_the_heat_map_shows_its_moment_in_the_timeline(shown: Show, rich: Any) -> None:
    browser = shown(rich)
    browser.run("document.querySelector('#heat canvas').focus()")
    browser.key("ArrowRight")
    assert "of the worker time was blocked" in text(browser, "#heat .told")
    browser.key("Enter")
    assert browser.run("TIME.to - TIME.from") < browser.run("TIME.cells")


def test_dark_is_dark_and_paper_is_light(shown: Show, demo: Any) -> None:
    browser = shown(demo)
    paper = "getComputedStyle(document.body).backgroundColor"
    assert browser.run(paper) == "rgb(255, 255, 255)"
    browser.media(prefers_color_scheme="dark")
    assert browser.run(paper) == "rgb(22, 24, 28)"
    browser.click("#theme")
    assert browser.run(paper) == "rgb(255, 255, 255)", "the switch wins over the system"
    browser.click("#theme")
    browser.click("#theme")
    assert browser.run(paper) == "rgb(22, 24, 28)"
    assert browser.printed().startswith(b"%PDF")
    browser.media("print", prefers_color_scheme="dark")
    assert browser.run(paper) == "rgb(255, 255, 255)"
    assert browser.run("getComputedStyle(document.querySelector('nav')).display") == "none"


def test_a_screen_reader_finds_its_way(shown: Show, rich: Any) -> None:
    browser = shown(rich)
    tree = browser.tree()
    roles = [role for role, _ in tree]
    assert {"banner", "main", "navigation", "table", "tree", "treeitem", "searchbox"} <= {*roles}
    headings = [name for role, name in tree if role == "heading"]
    assert headings[1:3] == ["Blockers", "Flame graph of blocked time"]
    nameless = [
        role
        for role, name in tree
        if role in ("button", "link", "treeitem", "img", "image", "searchbox") and not name
    ]
    assert nameless == []


def test_rows_beyond_the_first_are_there_when_asked_for(shown: Show, crowd: Any) -> None:
    browser = shown(crowd)
    visible = "document.querySelectorAll('.blockers tbody:not([hidden])').length"
    assert browser.run(visible) == 10
    browser.run("document.querySelector('#search').focus()")
    for letter in "handler_3":
        browser.key(letter, letter)
    assert browser.run(visible) == 10
    assert text(browser, "#found").startswith("10 of 40 blockers")
    browser.key("a", "a")
    assert browser.run(visible) == 0
    browser.run("document.querySelector('#search').value = ''; search('')")
    browser.click("#all")
    assert browser.run(visible) == 40
    assert browser.run("document.activeElement.title") == crowd.snapshot.blockers[10].function


def test_a_link_leads_to_a_row_that_is_not_shown(shown: Show, crowd: Any) -> None:
    name = crowd.snapshot.blockers[30].function
    browser = shown(crowd, f"#blocker={name}")
    assert browser.run("document.activeElement.title") == name


def test_what_changed_stands_above_the_rows(shown: Show, compared: Any) -> None:
    browser = shown(compared)
    said = text(browser, "#compared")
    for sentence in cells.told(compared.comparison):
        assert sentence in said
    rows = [row.split("\t") for row in texts(browser, ".changes tbody tr")]
    assert rows[0][:3] == ["new", "api::login::hash_password", "bcrypt::hash"]
    assert rows[0][-1] == "src/login.rs:88"
    assert cells.about(compared.comparison.before) in said


def test_losses_stand_beside_the_verdict(shown: Show, crowd: Any, demo: Any) -> None:
    assert text(shown(crowd), "#verdict .alarm") == "12 events lost, ring buffer full."
    assert text(shown(demo), "#verdict .alarm") == ""


def test_no_rows_say_no_more_than_is_known(idle: Any) -> None:
    seen, detection = idle.snapshot, idle.snapshot.info.detection
    assert blockers.none(seen) == "None: no poll lasted 5 ms or more."
    for rung, words in ((Rung.STACKS, "None was seen; "), (Rung.LATENCY, "Not known: ")):
        info = replace(seen.info, detection=replace(detection, rung=rung))
        assert blockers.none(replace(seen, info=info)).startswith(words)
    assert blockers.none(replace(seen, workers=())).startswith("Not known: ")
    assert blockers.none(replace(seen, losses=Losses(ring_full=1))).startswith("None was seen; ")


def test_the_page_stays_small_whatever_was_seen(build: ModuleType) -> None:
    """As many stacks as one run has, none of which shares a call with another."""
    recording = build.empty_recording()
    for number in range(300):
        names = (f"shop::module_{number}::{'very_' * 20}long_{level}" for level in range(120))
        frames = [build.user(name, f"src/{number}.rs", 1) for name in names]
        recording.add_stack(1000 + number, build.stack(*frames))
        start, length = build.START_NS + number * 40 * build.MS, 30 * build.MS
        nap = build.asleep(build.TIDS[0], start + length, length, 1000 + number, start, 230)
        recording.add_samples([nap, build.poll(build.TIDS[0], start, length, asleep_ns=length)])
    recording.finish(start + build.SECOND, "duration reached")
    analyzer = Analyzer(recording)
    text = report.page(analyzer, analyzer.snapshot(recording.ended_ns, False))
    assert '"left":"and 100 more, together' in text
    assert len(text.encode()) < 2_000_000


def test_every_script_of_the_package_is_in_the_page() -> None:
    folder = report._HERE / "js"
    assert sorted(path.stem for path in folder.glob("*.js")) == sorted(report.SCRIPTS)
