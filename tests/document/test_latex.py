"""The tables and the appendix in LaTeX: balanced, cited, and compiled where there is a TeX."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess

import pytest

from helpers.found import NASTY
from helpers.reported import facts_of_three, over_seeds, results_of_three, with_evidence
from recsweep.document.appendix import appendix_latex
from recsweep.document.citations import bibtex, cited
from recsweep.document.facts import gathered
from recsweep.document.tables import tables_latex, tables_markdown

_PAPER = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{booktabs}
\begin{document}
\input{tables}
\appendix
\input{appendix}
\bibliographystyle{plain}
\bibliography{references}
\end{document}
"""


@pytest.fixture
def facts(tmp_path):
    return dataclasses.replace(facts_of_three(tmp_path), measured=over_seeds(apart=True))


def balanced(text: str) -> bool:
    bare = re.sub(r"\\[{}]", "", text)
    begun, ended = re.findall(r"\\begin\{(\w+)\}", text), re.findall(r"\\end\{(\w+)\}", text)
    return bare.count("{") == bare.count("}") and sorted(begun) == sorted(ended)


def test_tables_and_appendix_are_balanced_and_cite_what_is_there(facts):
    keys = {one.key for one in cited(facts.records)}
    for text in (tables_latex(facts), appendix_latex(facts)):
        assert balanced(text)
        assert text.isascii() or "≈" not in text
        named = {key for found in re.findall(r"\\cite\{([^}]*)\}", text) for key in found.split(",")}
        assert named
        assert named <= keys


def test_rows_have_as_many_cells_as_their_table_has_columns(facts):
    for text in (tables_latex(facts), appendix_latex(facts)):
        for columns, body in re.findall(
            r"\\begin\{tabular\}\{([lr]+|ll\S+?l+)\}\n(.*?)\\end\{tabular\}", text, flags=re.DOTALL
        ):
            rows = [line for line in body.splitlines() if line.endswith(r"\\")]
            assert rows
            columns = re.sub(r"p\{[^}]*\}", "p", columns)
            assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {len(columns)}


def test_the_best_is_bold_with_its_mark_and_the_second_underlined(facts):
    text = tables_latex(facts)
    assert r"\textbf{0.1900}$^{*}$ {\scriptsize$\pm$0.0100}" in text
    assert r"\underline{0.1700}" in text
    assert "means of 5 trainings" in text


def test_the_same_in_markdown(facts):
    text = tables_markdown(facts)
    assert r"| NARM | 0.2000 | **0.1900**\* ± 0.0100 |" in text
    assert "<u>0.1700</u>" in text


def test_the_appendix_has_space_budget_chosen_values_seeds_hardware_and_hours(facts):
    text = appendix_latex(facts)
    for words in (
        r"\texttt{learning\_rate} & log-uniform & 0.0001 to 0.01 & 0.001 & \textbf{",
        "toy: 12 of 12 trials (2 pruned, 1 failed); chosen is trial 7",
        r"\textbf{128} (edge)",
        "Trained on: A processor, 8 cores",
        r"toy & NARM & 12 & 2 & 1 & 24 & 0.0067 & - \\",
        "toy-sweep/toy/NARM/full",
        "torch: 2.13.0.",
        "recsweep tune -{}-config sweep.yaml",
    ):
        assert words in text, words


def test_the_appendix_names_the_seeds_of_the_evidence(tmp_path):
    first, *others = results_of_three(tmp_path)
    text = appendix_latex(gathered("s", [with_evidence(first), *others], "s.yaml"))
    assert "Training seeds 100, 101 and 102, split seeds 7: toy/NARM." in text


def test_names_are_no_commands_of_tex(tmp_path):
    odd = [
        dataclasses.replace(one, record=dataclasses.replace(one.record, model_name=f"{NASTY}{n}\\"))
        for n, one in enumerate(results_of_three(tmp_path))
    ]
    for text in (tables_latex(found := gathered("s", odd, "s.yaml")), appendix_latex(found)):
        assert balanced(text)
        assert "$x_1$" not in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX: Debian has texlive-latex-recommended")
def test_a_paper_takes_them_in(facts, tmp_path):
    for name, text in (
        ("paper.tex", _PAPER),
        ("tables.tex", tables_latex(facts)),
        ("appendix.tex", appendix_latex(facts)),
        ("references.bib", bibtex(cited(facts.records))),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
    for command in (["pdflatex"], ["bibtex"], ["pdflatex"], ["pdflatex"]):
        options = [] if command == ["bibtex"] else ["-interaction=nonstopmode", "-halt-on-error"]
        done = subprocess.run(
            [*command, *options, "paper"], cwd=tmp_path, capture_output=True, text=True, errors="replace"
        )
        assert done.returncode == 0, done.stdout[-2000:]
    assert "undefined" not in done.stdout
