"""Options of a request: the names and limits of the command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allfocus.restore import MOST_STRENGTH
from allfocus.web.options import MapOptions, Options, parse
from allfocus.web.problems import Refusal


def test_form_and_query_meet() -> None:
    options = parse(Options, {"strength": "0.5"}, {"scale": "2", "keep_bokeh": "8"})
    assert (options.strength, options.scale, options.keep_bokeh) == (0.5, "2", 8)


@pytest.mark.parametrize(
    "given, words",
    [
        ({"strength": "2"}, "strength '2'"),
        ({"strength": "nan"}, "strength 'nan'"),
        ({"scale": "3"}, "scale '3'"),
        ({"tile": "-1"}, "tile '-1'"),
        ({"keep_bokeh": "0"}, "keep_bokeh '0'"),
        ({"overwrite": "1"}, "an option called 'overwrite'"),
        ({"model": "../../etc/passwd"}, "no model is called '../../etc/passwd'"),
        ({"model": "/etc/passwd"}, "no model is called '/etc/passwd'"),
    ],
)
def test_what_is_no_option_is_refused(given: dict[str, str], words: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse(Options, given)
    assert refused.value.status == 422
    assert refused.value.got == words


def test_an_option_comes_once() -> None:
    with pytest.raises(Refusal, match="strength twice"):
        parse(Options, {"strength": "1"}, {"strength": "1"})


@given(st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3), st.sampled_from([Options, MapOptions]))
def test_whatever_comes_is_options_or_a_refusal(given: dict[str, str], kind: type) -> None:
    try:
        assert isinstance(parse(kind, given), kind)
    except Refusal as refusal:
        assert refusal.status == 422 and refusal.got and refusal.expected and refusal.hint


def test_the_page_offers_every_strength(repository: Path) -> None:
    page = (repository / "src/allfocus/web/static/index.html").read_text(encoding="utf-8")
    (most,) = re.findall(r'<input id="strength" [^>]*max="(\d+)"', page)
    assert int(most) == round(100 * MOST_STRENGTH)
