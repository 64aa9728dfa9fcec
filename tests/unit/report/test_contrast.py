"""Every text of the report stands out from its ground, in both themes.

WCAG 2.2, success criterion 1.4.3: the ratio of luminances is 4.5 at least.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser import Browser

FAINT = """(() => {
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const channels = (colour) => {
        context.clearRect(0, 0, 1, 1);
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
        return [...context.getImageData(0, 0, 1, 1).data];
    };
    const linear = (value) =>
        value <= 10 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
    const luminance = ([red, green, blue]) =>
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
    const ground = (element) => {
        const own = channels(getComputedStyle(element).backgroundColor);
        return own[3] === 255 ? own : ground(element.parentElement);
    };
    const ratio = (element) => {
        const colours = [channels(getComputedStyle(element).color), ground(element)];
        const [dark, light] = colours.map(luminance).sort((one, other) => one - other);
        return (light + 0.05) / (dark + 0.05);
    };
    const says = (element) =>
        element.checkVisibility() &&
        [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    return [...document.querySelectorAll("body *")].filter(says)
        .filter((element) => ratio(element) < 4.5)
        .map((element) => `${ratio(element).toFixed(2)} ${element.outerHTML.slice(0, 100)}`);
})()"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["rich", "crowd"])
def test_every_text_stands_out(
    request: pytest.FixtureRequest, shown: Callable[..., Browser], name: str, theme: str
) -> None:
    run: Any = request.getfixturevalue(name)
    browser = shown(run)
    browser.media(prefers_color_scheme=theme)
    browser.run("[...document.querySelectorAll('.toggle')].slice(0, 6).map((one) => one.click())")
    assert browser.run("matchMedia('(prefers-color-scheme: dark)').matches") == (theme == "dark")
    assert browser.run(FAINT) == []
