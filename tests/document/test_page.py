"""The page of a report: everything stands there, nothing is fetched, what is missing says how it comes."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import pytest

from helpers import found
from helpers.found import NASTY
from helpers.reported import facts_of_three, over_seeds, results_of_three, with_evidence, with_users
from recsweep.document.appendix import appendix_latex
from recsweep.document.citations import cited
from recsweep.document.facts import gathered
from recsweep.document.page import report_page
from recsweep.document.tables import tables_markdown
from recsweep.document.write import write_report

ANCHORS = (
    *(
        "question",
        "data",
        "protocol",
        "spaces",
        "results",
        "comparison",
        "alarms",
        "convergence",
        "importance",
    ),
    *("curves", "cost", "again", "references"),
)
_EMPTY = {"meta", "link", "br", "img"}


class Tags(HTMLParser):
    """Every tag is closed by its own, and no id stands twice."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in _EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, self.getpos()


def page_of(facts) -> str:
    return report_page(facts, cited(facts.records))


@pytest.fixture
def text(tmp_path) -> str:
    return page_of(facts_of_three(tmp_path))


def test_the_page_is_sound_and_has_every_section(text):
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert len(tags.ids) == len(set(tags.ids))
    assert set(ANCHORS) <= set(tags.ids)
    assert [one for one in re.findall(r'href="#([^"]+)"', text) if one not in tags.ids] == []


def test_the_page_fetches_nothing(text):
    assert "<script" not in text
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", text)
    assert not re.search(r"url\(|@import", text)
    assert not re.search(r"https?:", text)


def test_the_page_says_what_was_asked_searched_found_and_spent(text):
    for words in (
        "Which of the 3 models NARM, Slow and Waiting recommends best on toy, by NDCG@10",
        "The first trial of each study has the model&#x27;s published defaults",
        "none is sampled",
        "0.0001 to 0.01",
        '<b>128</b> <span class="edge">edge</span>',
        "Best values at the edge of their range",
        "hidden_size 128 is at the edge of its range, 32 to 128",
        '<b class="best">0.1912</b>',
        '<u class="second">0.1034</u>',
        "expected of random search",
        "Trained on: A processor, 8 cores, 31.2 GiB, Linux 6.1, device cpu, 2 threads a trial",
        "git checkout 0123456789abcdef",
        "recsweep tune --config sweep.yaml",
        "Neural Attentive Session-based Recommendation",
    ):
        assert words in text, words


def test_what_is_missing_says_with_which_command_it_comes(text):
    assert "not there yet; run <code>make evidence CONFIG=sweep.yaml</code>" in text


def test_means_over_seeds_stand_with_their_intervals(tmp_path):
    facts = dataclasses.replace(facts_of_three(tmp_path), measured=over_seeds(apart=True))
    text = page_of(facts)
    assert '<b class="best">0.1900</b><sup>*</sup> <small>± 0.0100</small>' in text
    assert "mean of 5 trainings" in text


def test_a_sweep_without_a_study_says_what_to_run(tmp_path):
    waiting = results_of_three(tmp_path)[2]
    text = page_of(gathered("toy-sweep", [waiting], "sweep.yaml"))
    assert "No study of the sweep is in the store yet; run <code>recsweep tune --config sweep.yaml" in text


def test_names_stay_text(tmp_path):
    odd = [
        dataclasses.replace(one, record=dataclasses.replace(one.record, model_name=f"{NASTY}{n}"))
        for n, one in enumerate(results_of_three(tmp_path))
    ]
    text = page_of(gathered(NASTY, odd, NASTY))
    assert "<img" not in text


def test_the_same_store_gives_the_same_files(tmp_path):
    results = results_of_three(tmp_path)
    written = []
    for name in ("one", "two"):
        outputs = dataclasses.replace(results[0].outputs, root=tmp_path / name)
        page = write_report(outputs, gathered("toy-sweep", results, "sweep.yaml"))
        written.append({path.name: path.read_text(encoding="utf-8") for path in page.parent.iterdir()})
    assert written[0] == written[1]
    assert set(written[0]) == {"index.html", "tables.md", "tables.tex", "appendix.tex", "references.bib"}


def test_the_comparison_stands_in_a_sentence_with_its_picture_and_citations(tmp_path):
    facts = gathered("toy-sweep", with_users(results_of_three(tmp_path)), "sweep.yaml")
    text = page_of(facts)
    assert text.count("NARM is better than Slow by 0.2") >= 2, "in the head, and in its section"
    assert "Differences in NDCG@10 on toy" in text
    assert '<b class="best">0.1912</b><sup>*</sup>' in text
    assert {"holm1979simple", "smucker2007comparison"} <= facts.cites


def test_the_searchs_own_score_stands_beside_those_over_seeds(tmp_path):
    first, *others = results_of_three(tmp_path)
    text = page_of(gathered("toy-sweep", [with_evidence(first), *others], "sweep.yaml"))
    assert '<b class="best">0.1600</b> <small>± 0.0248</small>' in text
    assert "<th>NDCG@10 mean ± sd</th>" in re.sub(r" (class|scope)=\"[a-z]+\"", "", text)
    for cell in ("0.1600 ± 0.0100", "0.1352 to 0.1848", "+0.0312"):
        assert f'<td class="number">{cell}</td>' in text, cell
    assert "Without evidence of its best configuration: toy/Slow, toy/Waiting." in text
    assert "<th>validation NDCG@10 (search)</th>" in re.sub(r" (class|scope)=\"[a-z]+\"", "", text)


def test_a_list_in_markdown_ends_before_what_follows(tmp_path):
    facts = gathered("toy-sweep", with_users(results_of_three(tmp_path)), "sweep.yaml")
    lines = tables_markdown(facts).splitlines()
    last = max(number for number, line in enumerate(lines) if line.startswith("- "))
    assert lines[last + 1] == ""


def test_the_cost_of_trainings_over_seeds_is_told_too(tmp_path):
    first, *others = results_of_three(tmp_path)
    assert "Over seeds:" not in page_of(gathered("toy-sweep", [first, *others], "sweep.yaml"))
    facts = gathered("toy-sweep", [with_evidence(first, seconds=1800.0), *others], "sweep.yaml")
    told = "Over seeds: 3 trainings more of the configurations chosen, 1.50 hours."
    assert told in page_of(facts)
    assert told in appendix_latex(facts)


def test_a_value_beyond_which_there_is_none_is_no_edge(tmp_path):
    """The mark in the table of a space is the alarm's."""
    space = (
        "defaults: {weight_decay: 0.0, hidden_size: 64}\n"
        "space:\n"
        "  weight_decay: {type: choice, values: [0.0, 1.0e-6, 1.0e-5]}\n"
        "  hidden_size: {type: choice, values: [32, 64, 128]}\n"
    )
    plan = found.workspace(tmp_path, model=space).plan()
    trials = [found.trial(slot, 0.1, params={"weight_decay": 0.0, "hidden_size": 32}) for slot in range(12)]
    text = page_of(gathered("toy-sweep", [found.result_of(plan, trials)], "sweep.yaml"))
    assert re.findall(r"<b>([^<]*)</b> <span class=\"edge\">edge</span>", text) == ["32"]
    assert "weight_decay 0 is at the edge" not in text


def test_popularity_stands_below_the_table(tmp_path):
    first, *others = results_of_three(tmp_path)
    pop = dataclasses.replace(first, test={"ndcg@10": 0.05})
    text = page_of(gathered("toy-sweep", [first, *others], "sweep.yaml", [pop]))
    assert "(Pop) comes to NDCG@10 0.2000 on validation, 0.0500 on test." in text
