import warnings

import pytest
import torch
from samples import SHAPE, TINY, lively

from vidpred.networks import unroll
from vidpred.networks.compilation import compile_networks


def predict(model):
    generator = torch.Generator().manual_seed(0)
    film, poses = torch.rand(2, 2, 4, 3, SHAPE.height, SHAPE.width, generator=generator)
    noise = torch.randn(2, 3, *model.latent_shape, generator=generator)
    return unroll(model, film, poses, noise=noise, forced=torch.zeros(2, 3)).frames


def graphs_of(made):
    def backend(graph, inputs):
        made.append(graph)
        return graph.forward

    return backend


def test_compiled_networks_predict_the_same():
    model, made = lively(TINY["lab"]()), []
    expected = predict(model)
    compile_networks(model, backend=graphs_of(made))
    torch.testing.assert_close(predict(model), expected)
    assert made


def test_a_part_that_cannot_be_compiled_warns_once_and_runs_as_it_is():
    def broken(graph, inputs):
        raise RuntimeError("no compiler here")

    model = lively(TINY["lab"]())
    expected = predict(model)
    compile_networks(model, backend=broken)
    with pytest.warns(UserWarning, match=r"torch\.compile of decode failed, .*no compiler here"):
        torch.testing.assert_close(predict(model), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.testing.assert_close(predict(model), expected)


def test_what_the_networks_raise_is_not_taken_for_a_failed_compilation():
    model = TINY["lab"]()
    compile_networks(model, backend="eager")
    with pytest.raises((RuntimeError, TypeError), match=r"shape|size|expected|argument|type"):
        model.decode(torch.rand(1, 8, 3, 3), torch.rand(1, 1, 5, 5), torch.rand(1, 1, 5, 5), None, None, None)
