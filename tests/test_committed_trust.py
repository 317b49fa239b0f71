"""results/trust says what its rows say: the study over them makes the committed tables again, and README quotes them."""

import re

import pandas as pd

from bench.choices import ROOT
from bench.studies import trust

FOLDER = ROOT / "results" / "trust"
SETTINGS = ["experiment.models=[efficientnet_lite0]", "data.root=nowhere", "data.limit=16", f'paths.results="{FOLDER}"']


def test_the_committed_tables_and_sentences_are_those_of_the_rows():
    document = trust.make(SETTINGS)[0]
    text = (FOLDER / "report" / "trust.md").read_text(encoding="utf-8")
    sentences = [fact for fact in document.facts if " claims " in fact]
    assert document.facts[-1].endswith("baseline confusion repeats baseline grey: it counts once.")
    assert len(sentences) == 2 and all(sentence in text for sentence in sentences)
    committed = pd.read_csv(FOLDER / "report" / "trust.csv")
    pd.testing.assert_frame_equal(committed, document.numbers, check_dtype=False, rtol=1e-5)
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    for sentence in sentences:
        assert re.search(r"By \w+, of \d+ claims \d+ survives?[^.]*\.", sentence)[0] in page


def test_the_page_quotes_ranks_and_rank_agreements_of_the_tables():
    page = (FOLDER / "README.md").read_text(encoding="utf-8").replace("\n", " ")
    insertion = pd.read_csv(FOLDER / "report" / "trust.csv").query("quantity == 'insertion'")
    ranks = insertion.query("row == 'la'").set_index("variant")["rank"]
    falls = [ranks[name] for name in ("unified", "baseline blur", "baseline grey", "baseline linear")]
    assert (
        "from rank {} against black to rank {} against blurred frames, {} against grey ones and {}".format(*falls)
        in page
    )
    tau = insertion.pivot(index="row", columns="variant", values="mean").corr("kendall").round(2)
    beside, four = tau["unified"], tau["seeds 0, their images"]
    assert f"(Kendall's τ with `unified`: {beside['baseline linear']:.2f})".replace("-", "−") in page
    readouts = sorted(f"{beside[f'readout {name}']:.2f}" for name in ("logit", "KL"))
    halves = sorted(f"{beside[f'images {k}']:.2f}" for k in (1, 2, 3))
    assert f"ties {beside['ties spread']:.2f}, readouts {readouts[0]} and {readouts[1]}" in page
    assert f"of the images {halves[0]} to {halves[-1]}." in page
    seeds = sorted(f"{four[f'{of} {k}']:.2f}" for of in ("draws", "classes") for k in (1, 2))
    assert f"keep {seeds[0]} to {seeds[-1]}, beside" in page


def test_each_row_has_its_record():
    runs = {file.stem for file in (FOLDER / "runs").glob("*.yaml")}
    rows = pd.read_parquet(FOLDER / "rows", columns=["run_id", "status"])
    assert runs == {*rows["run_id"]}
    assert (rows["status"] == "ok").all()
