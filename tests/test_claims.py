"""Claims: each can be read, each has a verdict, and a verdict follows the numbers, printed or measured."""

import numpy as np
import pandas as pd
import pytest
from test_page import leave

from bench.claims import __main__ as claims
from bench.claims import evidence, predicates
from bench.claims.predicates import CANNOT_TELL, FAILS, HOLDS
from bench.config import load
from bench.errors import UserError
from bench.papers import printed
from bench.report import __main__ as report
from bench.report.document import Document

random = np.random.default_rng()


@pytest.fixture(autouse=True)
def the_same_draws_in_any_order():
    random.bit_generator.state = np.random.default_rng(23).bit_generator.state


@pytest.fixture(scope="module")
def decided():
    listed = claims.load()
    return claims.decide(listed[listed["kind"] != "study"]).set_index("id")


def test_there_are_many_and_most_are_decided_without_imagenet(decided):
    listed = claims.load()
    assert len(listed) >= 40
    assert set(listed["paper"]) == {"la", "attexplore", "aii"}
    assert (decided["verdict"] != CANNOT_TELL).sum() >= len(listed) / 3
    assert decided["because"].ne("").all()


@pytest.mark.parametrize(
    ("claim", "verdict", "number"),
    [  # results/published/README.md has each of them, found by hand
        ("la-insertion-1", HOLDS, "0.54415"),
        ("la-insertion-2", FAILS, "0.44278"),  # L6
        ("la-gain-two", HOLDS, "38.2062"),  # L2
        ("la-gain-latest", FAILS, "86.4792"),  # L2
        ("la-maxvit-3", FAILS, "12 of 12"),  # L1
        ("la-deletion-2", FAILS, "0.067499"),  # L3
        ("attexplore-agi-percent", FAILS, "11.5249"),  # A1
        ("attexplore-agi-points", HOLDS, "4.89"),
        ("attexplore-others", FAILS, "17.198"),  # A2
        ("attexplore-others-eight", HOLDS, "20.5913"),
        ("attexplore-infidelity", FAILS, "0.498"),  # A3
        ("attexplore-setting-3-5", HOLDS, "0.4644"),  # A5
        ("attexplore-setting-1-10", FAILS, "0.425"),
        ("attexplore-samples", FAILS, "0.4032"),  # A6
        ("attexplore-samples-deletion", CANNOT_TELL, "0.0325"),  # two settings print the same digits
        ("attexplore-epsilon-deletion", FAILS, "0.0297"),  # A7
        ("attexplore-steps", HOLDS, "0.4672"[:5]),
        ("attexplore-steps-deletion", FAILS, "0.0339"),  # A8
        ("attexplore-pace", FAILS, "9,456"),
        ("aii-earlier-second", FAILS, "number 1"),  # I1
        ("aii-kl", FAILS, "1.86"),  # I3
        ("aii-kl-gain", HOLDS, "5.52541"),
        ("aii-kl-gain-three", FAILS, "2.8645"),  # I5
        ("aii-one-set-5", FAILS, "guided_ig"),  # I6
        ("aii-one-set-7", HOLDS, "12 of 12"),
        ("aii-one-split", FAILS, "7.7%"),  # I7
        ("aii-setting", FAILS, "0.5948"),  # I8
        ("aii-more-earlier", FAILS, "0.5503"),  # I9
        ("aii-vit-deletion", FAILS, "0.0511"),  # I10
        ("aii-state-of-the-art", FAILS, "0.37364"),
        ("aii-la-table", FAILS, "7 of 11"),  # C1
        ("aii-twice", HOLDS, "12 of 12"),
    ],
)
def test_printed_numbers_among_themselves(decided, claim, verdict, number):
    assert (decided.at[claim, "verdict"], number in decided.at[claim, "because"]) == (verdict, True)


def column(table, quantity, scores, metric="unified", model="net", **more):
    """Rows of one column. scores: {label: values over images}."""
    of = {"table": table, "model": model, "metric": metric, "quantity": quantity} | more
    return pd.concat(
        pd.DataFrame({"label": label, "image": np.arange(len(v)), "value": v} | of) for label, v in scores.items()
    )


def measured(name, rows, *arguments):
    return predicates.PREDICATES[name](evidence.Measured(rows), *arguments)


def noise(n=60, spread=0.1):
    return spread * random.normal(size=n)


def test_measured_rows_hold_fail_or_leave_it_open():
    base = noise(spread=1)
    rows = column(
        "la_fig6", "insertion", {"linear": base + 0.2 + noise(), "constant": base + noise(), "twin": base + noise()}
    )
    assert measured("above", rows, "linear", "constant", "unified.insertion", "la_fig6").verdict == HOLDS
    assert measured("above", rows, "constant", "linear", "unified.insertion", "la_fig6").verdict == FAILS
    assert measured("above", rows, "twin", "constant", "unified.insertion", "la_fig6").verdict == CANNOT_TELL
    assert measured("best", rows, "linear", "unified.insertion", "la_fig6").verdict == HOLDS
    assert measured("best", rows, "twin", "unified.insertion", "la_fig6").verdict == FAILS
    assert measured("ranks", rows, "linear", "unified.insertion", "la_fig6", "1").verdict == HOLDS
    assert measured("ranks", rows, "twin", "unified.insertion", "la_fig6", "2").verdict == CANNOT_TELL
    assert measured("ranks", rows, "twin", "unified.insertion", "la_fig6", "1").verdict == FAILS


def test_of_deletion_the_lowest_is_best():
    rows = column("la_fig6", "deletion", {"linear": 0.1 + noise(spread=0.01), "constant": 0.3 + noise(spread=0.01)})
    assert measured("best", rows, "linear", "unified.deletion", "la_fig6").verdict == HOLDS
    assert measured("beaten", rows, "constant", "unified.deletion", "la_fig6").verdict == HOLDS


def test_a_claim_of_every_network_fails_on_one_and_needs_all():
    good = {"linear": 0.3 + noise(), "constant": noise()}
    open_ = {"linear": noise(), "constant": noise()}
    bad = {"linear": noise(), "constant": 0.3 + noise()}
    rows = {name: column("la_fig6", "insertion", scores, model=name) for name, scores in
            (("good", good), ("open", open_), ("bad", bad))}  # fmt: skip
    claim = ("linear", "constant", "unified.insertion", "la_fig6")
    assert measured("above", pd.concat([rows["good"], rows["open"]]), *claim).verdict == CANNOT_TELL
    found = measured("above", pd.concat(rows.values()), *claim)
    assert found.verdict == FAILS
    assert found.because.startswith("bad, 60 images: ")


def test_settings_are_in_the_order_of_their_numbers():
    rising = {str(n): n / 10 + noise() for n in (5, 10, 30)}  # as words, 10 comes before 5
    assert measured("rises", column("la_fig8", "insertion", rising), "unified.insertion", "la_fig8").verdict == HOLDS
    assert measured("falls", column("la_fig8", "insertion", rising), "unified.insertion", "la_fig8").verdict == FAILS
    same = {n: 0.5 + noise(spread=0.001) for n in ("5", "10", "30")}
    assert measured("flat", column("la_fig8", "insertion", same), "unified.insertion", "la_fig8").verdict == HOLDS
    vague = {n: 0.5 + noise(spread=0.5) for n in ("5", "10", "30")}
    assert (
        measured("flat", column("la_fig8", "insertion", vague), "unified.insertion", "la_fig8").verdict == CANNOT_TELL
    )


def test_few_images_decide_nothing():
    rows = column("la_fig6", "insertion", {"linear": 9 + noise(14), "constant": noise(14)})
    assert measured("above", rows, "linear", "constant", "unified.insertion", "la_fig6").verdict == CANNOT_TELL


def test_images_of_one_class_are_one_piece_of_evidence():
    group = np.repeat(np.arange(20), 10)
    shared = 0.2 * random.normal(size=20)[group]
    rows = column(
        "la_fig6", "insertion", {"linear": 0.06 + shared - shared.mean() + noise(200), "constant": noise(200)}
    )
    claim = ("linear", "constant", "unified.insertion", "la_fig6")
    assert measured("above", rows, *claim).verdict == HOLDS
    assert measured("above", rows.assign(group=np.tile(group, 2)), *claim).verdict == CANNOT_TELL


def test_controls_do_not_take_a_papers_place():
    rows = column("la_table1", "insertion", {"la": 0.3 + noise(), "ig": noise(), "center": 0.9 + noise()})
    assert measured("best", rows, "la", "unified.insertion", "la_table1").verdict == HOLDS


def test_what_is_about_printed_numbers_is_not_asked_of_rows():
    rows = column("la_table1", "insertion", {"la": noise(), "agi": noise()})
    assert measured("gain", rows, "la", "agi", "unified.insertion", "la_table1", "relative", "1").verdict == CANNOT_TELL


def test_cells_are_in_our_names_with_gaps_that_no_table_prints():
    cells = printed.cells().set_index(["table", "model", "confidence", "label", "metric", "quantity"])["value"]
    assert cells["la_table1", "inception_v3", "all", "la", "unified", "insertion"] == 0.54415
    assert cells["la_table1", "inception_v3", "all", "la", "unified", "gap"] == pytest.approx(0.54415 - 0.07366)
    assert cells["aii_table10", "", "all", "20 15", "kl", "insertion"] > 10
    assert cells["attexplore_table8", "vgg16", "all", "big", "infidelity", "score"] == 0.498
    assert cells["attexplore_table6", "vgg16", "all", "attexplore_pgd", "insertion_deletion", "deletion"] == 0.0199
    assert cells.index.is_unique


def test_a_cell_knows_the_half_of_its_last_digit(tmp_path):
    (tmp_path / "la_table2.csv").write_text(
        "paper,table,model,method,metric,quantity,confidence,param,param_value,value\n"
        "la,2,m,la,unified,insertion,all,,,0.50\nla,2,m,la,unified,deletion,all,,,0.1\n"
    )
    halves = printed.cells(tmp_path).set_index("quantity")["half"]
    assert halves.to_dict() == pytest.approx({"insertion": 0.005, "deletion": 0.05, "gap": 0.055})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a,la,p,c,published,bst(la; x; y)", "Did you mean best"),
        ("a,la,p,c,published,best(la; x)", "best takes 3 arguments, not 2"),
        ("a,la,p,c,guess,best(la; x; y)", "kind 'guess'"),
        ("a,la,p,c,published,best", "expected name"),
        ("a,la,p,c,study,best(la; x; y)", "no predicate 'best'"),
        ("a,la,p,c,rows,best(la; x; y)\na,la,p,c,rows,best(la; x; y)", "two claims are called a"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path, line, said):
    file = tmp_path / "claims.csv"
    file.write_text(f"id,paper,place,claim,kind,predicate\n{line}\n")
    with pytest.raises(UserError, match=said):
        claims.load(file)


def test_the_command_takes_the_rows_that_lie_there_and_leaves_a_document_for_the_page(tmp_path, capsys, monkeypatch):
    listed = claims.load()
    monkeypatch.setattr(claims, "load", lambda: listed[listed["id"].isin(["la-insertion-1", "la-insertion-rows"])])
    here = f"paths.results={tmp_path}"
    claims.main([here])
    assert "no rows were given" in capsys.readouterr().out
    for method, level in (("la", 0.7), ("agi", 0.4), ("ig", 0.2)):
        leave(tmp_path, f"r-{method}", method, level, images=[f"{i}" for i in range(20)])
    claims.main([here, "experiment.models=[tiny]", "data=synthetic"])
    said = capsys.readouterr().out
    assert "2 claims: 2 holds" in said and "no rows" not in said
    document = Document.load(tmp_path / "report" / "claims.json")
    assert document.numbers.set_index("id").at["la-insertion-rows", "verdict"] == HOLDS
    report.main([here])
    page = (tmp_path / "report" / "index.html").read_text()
    assert page.index("Claims of the papers") < page.index('<section id="rows"')
    assert 'class="badge holds"' in page


def test_of_two_rows_the_printed_name_is_that_of_the_one_beside_it_and_a_few_images_take_none_from_the_others(tmp_path):
    for method, level in (("fast_ig", 0.9), ("fast_ig_as_published", 0.2), ("eg", 0.9), ("la", 0.7), ("ig", 0.4)):
        leave(tmp_path, f"r-{method}", method, level, images=[f"{i}" for i in range(20)])
    leave(tmp_path, "r-sm", "sm", 0.8, images=["0", "1"])
    here = ["experiment.models=[tiny]", "data=synthetic", f"paths.results={tmp_path}"]
    rows = claims.measured.rows(["la_table1"], here)
    (column,) = evidence.Measured(rows).columns("la_table1", "unified.insertion")
    assert column.name == "tiny, 20 images, 3 of 12 rows" and set(column.labels) == {"fast_ig", "la", "ig"}
    assert column.value[column.labels.index("fast_ig")] == pytest.approx(0.2, abs=0.1)


MEASURED = [
    claim for claim in claims.load().itertuples() if claim.kind == "rows" and "unmeasured" not in claim.predicate
]


@pytest.mark.parametrize("claim", MEASURED, ids=[claim.id for claim in MEASURED])
def test_a_claim_of_measured_rows_is_decided_where_all_rows_are_there(claim):
    predicate, arguments = claims.parsed(claim.predicate)
    what, table = arguments[-2:]
    labels = list(claims.measured.names(load([f"experiment={table}"], builders=False).cfg.experiment).values())
    assert len(set(labels)) == len(labels)
    metric, _, quantity = what.rpartition(".")
    rows = column(table, quantity, {k: random.normal(n, 0.1, 40) for n, k in enumerate(labels)}, metric)
    found = measured(predicate, rows, *arguments)
    assert found.verdict in (HOLDS, FAILS), found


def test_a_folder_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(UserError, match="nowhere: there is no such folder"):
        claims.main([f"paths.results={tmp_path / 'nowhere'}"])
    assert not (tmp_path / "nowhere").exists()
