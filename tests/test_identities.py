"""The studies behind the claims: those that must hold do, those that must not do not, and a wrong formula is caught."""

import pytest
import torch

from bench.claims import __main__ as claims
from bench.claims import identities
from bench.claims.identities import STUDIES
from bench.claims.predicates import FAILS, HOLDS


@pytest.mark.parametrize(
    ("study", "verdict"),
    [
        ("ig_is_complete()", HOLDS),
        ("path_is_complete(agi; walk)", HOLDS),
        ("path_is_complete(agi; restart)", FAILS),
        ("path_is_complete(aii; walk)", HOLDS),
        ("path_is_complete(aii; restart)", FAILS),
        ("la_counts_each_step_once()", FAILS),
        ("expectation_vanishes()", HOLDS),
        ("stays_local(la)", HOLDS),
        ("stays_local(la_paper)", HOLDS),
        ("stays_local(agi)", FAILS),
        ("sensitive(la)", HOLDS),
        ("sensitive(aii)", HOLDS),
        ("sensitive(attexplore)", FAILS),
        ("sensitive(attexplore_paper)", HOLDS),
        ("sensitive(edges)", FAILS),
        ("implementation_invariant(la)", HOLDS),
        ("implementation_invariant(attexplore)", HOLDS),
        ("implementation_invariant(aii)", HOLDS),
        ("class_free(aii)", HOLDS),
        ("class_free(agi)", FAILS),
        ("listing_is_equation(la)", FAILS),
        ("listing_is_equation(aii)", FAILS),
        ("loss_rises(attexplore)", FAILS),
        ("loss_rises(attexplore_paper)", HOLDS),
        ("explorations(la_paper; 420)", HOLDS),
        ("explorations(la; 420)", FAILS),
        ("costs_the_same(aii; agi)", HOLDS),
        ("confuses(plus)", HOLDS),
        ("confuses(minus)", FAILS),
        ("uniform_is_extreme()", HOLDS),
        ("kl_falls_with_certainty()", FAILS),
        ("printed_kl_is_of_p_to_q()", FAILS),
        ("deletion_mirrors_insertion(element)", HOLDS),
        ("deletion_mirrors_insertion(channel_union)", FAILS),
    ],
)
def test_a_study_finds_what_is_known(study, verdict):
    name, arguments = claims.parsed(study)
    found = STUDIES[name](*arguments)
    assert (found.verdict, found.because) == (verdict, found.because)


def test_every_study_that_a_claim_names_is_tested_here_or_runs_on_the_tiny_network():
    listed = claims.load()
    named = {claims.parsed(predicate)[0] for predicate in listed.loc[listed["kind"] == "study", "predicate"]}
    assert named == set(STUDIES)


def test_the_twin_is_the_same_function_and_other_weights():
    network, x = identities.Smooth(), identities.pictures()
    other = identities.twin(network)
    torch.testing.assert_close(other(x), network(x), rtol=1e-12, atol=1e-12)
    assert other.convolution.weight.shape != network.convolution.weight.shape


def test_a_method_that_reads_hidden_units_is_not_implementation_invariant(monkeypatch):
    def hidden(network, x, target, rng):
        return (
            network.convolution(x).abs().mean(dim=1, keepdim=True).pow(2).expand_as(x)
            * network.convolution.bias.numel()
        )

    monkeypatch.setattr(identities, "method_named", lambda *_: hidden)
    assert STUDIES["implementation_invariant"]("any").verdict == FAILS


def test_a_network_ignores_what_it_does_not_see():
    seen = torch.zeros(1, 3, identities.SIZE, identities.SIZE)
    seen[..., 4:] = 1
    x = identities.pictures()
    changed = x.clone()
    changed[..., :4] = 0.1
    network = identities.Smooth(seen)
    assert torch.equal(network(x), network(changed))
    assert not torch.equal(identities.Smooth()(x), identities.Smooth()(changed))


def test_attacks_on_the_tiny_network_are_told_beside_random_signs_and_decide_nothing(monkeypatch):
    lost = {"agi": [1.0] * 36 + [0] * 4, "random": [0.0] * 30 + [1] * 10}
    monkeypatch.setattr(identities, "_lost", lambda path: torch.tensor(lost[path])[:, None].expand(-1, 21).numpy())
    for found in (STUDIES["loses_the_class"]("agi", "2"), STUDIES["keeps_the_class"]("agi")):
        assert found.verdict == "cannot tell" and "90% of 40 images lost" in found.because
    assert "to random signs 25%" in STUDIES["loses_the_class"]("agi", "2").because
