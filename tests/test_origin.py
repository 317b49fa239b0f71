"""What a function of a notebook is known by."""

import pytest
import torch
from conftest import Cnn

from bench.errors import UserError
from bench.networks.weights import seeded
from heatproof.origin import digest, structure

TEXT = """
def half(x):
    return x / {number}

def method(model, x, target, steps={steps}):
    '''{told}'''
    def inner(y):
        return y * SCALE
    return inner(half(x)) + steps  # {told}
"""


def method(scale=1.0, number=2, steps=5, told="so"):
    cell = {"SCALE": scale, "__name__": "__main__"}
    exec(TEXT.format(number=number, steps=steps, told=told), cell)
    return cell["method"]


@pytest.mark.parametrize(
    "change", [{"scale": 2.0}, {"scale": torch.ones(2)}, {"number": 3}, {"steps": 6}, {"scale": seeded(Cnn)}]
)
def test_what_changes_a_number_changes_it(change):
    assert digest(method(**change)) != digest(method()) == digest(method())


def test_a_tensor_and_a_network_count_by_their_values():
    one, other = seeded(Cnn), seeded(Cnn)
    assert digest(method(scale=one)) == digest(method(scale=other))
    other.head.bias.data += 1
    assert digest(method(scale=one)) != digest(method(scale=other))
    assert digest(method(scale=torch.zeros(2))) != digest(method(scale=torch.ones(2)))


def test_source_counts_without_comments_and_layout(tmp_path):
    def defined(told):
        def inner(x):
            # a comment
            return x + 1

        return inner

    assert digest(defined(1)) == digest(defined(2))


def test_what_nobody_can_tell_is_refused_by_name():
    with pytest.raises(UserError, match="SCALE is an object, of which no digest can be made.*leave the folder out"):
        digest(method(scale=object()))


def test_a_function_that_calls_itself_has_one():
    def down(n):
        return down(n - 1) if n else 0

    assert digest(down) == digest(down)


def test_a_layer_of_another_kind_is_another_structure():
    one, other = Cnn(), Cnn()
    assert structure(one) == structure(other)
    other.relu1 = torch.nn.GELU()
    assert structure(one) != structure(other)
