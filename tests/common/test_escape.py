from __future__ import annotations

import io
import re
from html.parser import HTMLParser

import pytest

from recsweep.common.errors import InputError, UserError
from recsweep.common.escape import cells_for_markdown, for_html, for_latex, for_markdown, for_terminal
from recsweep.report.tables import parameters_text
from recsweep.running.progress import Display

NASTY = [
    "\x1b[2Jgone\x07",
    "a\nb\r\tc",
    "| cell | <script>alert(1)</script> [x](javascript:y) `code` **b** &amp;",
    "\\input{/etc/passwd} $x$ 50% #1 a_b ~ ^ { } \"q\" 'q'",
    "left\u202eright \u200bzero \udcff half \x9b31m csi",
]


@pytest.mark.parametrize("text", NASTY)
def test_a_terminal_gets_one_line_that_it_obeys_in_nothing(text):
    shown = for_terminal(text)
    assert shown.isprintable()
    assert shown.encode("utf-8"), "no half of a surrogate pair is left"
    assert for_terminal(shown) == shown


def test_letters_of_any_script_stay_as_they_are():
    assert for_terminal("Žižek 映画 Ωμέγα") == "Žižek 映画 Ωμέγα"


@pytest.mark.parametrize("text", NASTY)
def test_a_cell_of_markdown_holds_neither_marks_nor_another_cell(text):
    cell = for_markdown(text)
    assert len(re.split(r"(?<!\\)\|", cell)) == 1
    assert not re.search(r"(?<!\\)[`*\[\]<>&]", cell)
    assert "\n" not in cell


@pytest.mark.parametrize("text", [*NASTY, "_", "a_", "ml_100k", "plain"])
def test_a_row_of_cells_is_escaped_as_each_of_them(text):
    assert cells_for_markdown(["b", text, "_c"]) == [for_markdown(one) for one in ("b", text, "_c")]
    assert cells_for_markdown(["b", text, "c"]) == [for_markdown(one) for one in ("b", text, "c")]


def test_names_of_parameters_stay_readable_in_markdown():
    assert for_markdown("learning_rate 0.001, loss_type BPR") == "learning_rate 0.001, loss_type BPR"
    assert for_markdown("_emphasis_") == r"\_emphasis\_"


@pytest.mark.parametrize("text", NASTY)
def test_tex_gets_no_command_but_our_own(text):
    own = r"\\(?:textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar|textasciigrave"
    bare = re.sub(own + r")\{\}|\\[{}_%&#$]", "", for_latex(text))
    assert not set(bare) & set('\\{}_%&#$~^<>|`"\n')


@pytest.mark.parametrize("text", NASTY)
def test_a_page_gets_text_and_no_tags(text):
    tags, words = [], []

    class Parser(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append(tag)

        def handle_data(self, data):
            words.append(data)

    parser = Parser()
    parser.feed(for_html(text))
    parser.close()
    assert (tags, "".join(words)) == ([], for_terminal(text))


@pytest.mark.parametrize("kind", [UserError, lambda text: InputError(text, f"got {text}", "mend it", 1, 2)])
def test_an_error_is_one_line_whatever_it_quotes(kind):
    message = str(kind("\x1b[31mred\nnext"))
    assert message.isprintable()
    assert r"\x1b[31mred\nnext" in message


def test_a_line_of_the_log_is_one_line_whatever_it_quotes(tmp_path):
    stream = io.StringIO()
    with Display(tmp_path / "a.log", stream=stream) as display:
        display.line("trial 1: loss_type \x1b]0;title\x07 [red]x[/red]\nstudy 9/9 done")
    shown = r"trial 1: loss_type \x1b]0;title\x07 [red]x[/red]\nstudy 9/9 done"
    assert stream.getvalue() == f"{shown}\n"
    assert (tmp_path / "a.log").read_text().endswith(f" {shown}\n")


def test_categories_of_a_search_space_are_shown_in_one_line():
    assert parameters_text({"loss_type": "a\n| b"}) == r"loss_type a\n| b"
