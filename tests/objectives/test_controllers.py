import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_objectives import POSES, prediction

from vidpred.objectives import ControlVae, Elbo, Geco, SigmaVae


def control(**options) -> ControlVae:
    return ControlVae(base=Elbo(), **{"kl_target": 4.0, "ki": 1e-3, "beta_max": 10.0, **options})


def geco(**options) -> Geco:
    return Geco(base=Elbo(), **{"tolerance": 0.01, **options})


def see(controller, value: float) -> float:
    name = "kl_per_frame" if isinstance(controller, ControlVae) else "reconstruction_per_frame"
    return float(controller.observe({name: torch.tensor([value - 0.5 * abs(value), value + 0.5 * abs(value)])}))


def run(controller, plant, steps: int, beta: float = 0.0) -> tuple[float, float]:
    """Beta and the observed value after some steps with a plant, which answers beta with the value."""
    for _ in range(steps):
        value = plant(beta)
        beta = see(controller, value)
    return beta, value


@pytest.mark.parametrize(("a", "b", "target"), [(20, 0.1, 4), (5, 1, 2), (8, 0.5, 15), (300, 2, 40)])
@pytest.mark.parametrize("kp", [0.0, 0.01])
def test_control_holds_the_kl_at_its_set_point(a, b, target, kp):
    """KL = a / (b + beta)."""
    beta, value = run(control(kl_target=float(target), kp=kp, ki=0.01), lambda beta: a / (b + beta), 1500)
    assert value == pytest.approx(target, rel=1e-2)
    assert beta == pytest.approx(a / target - b, rel=2e-2)


def test_the_first_step_by_hand():
    controller = control(kl_target=5.0, kp=0.2, ki=0.01, beta_min=0.5)
    assert see(controller, 7.0) == pytest.approx(0.5 + 0.2 / (1 + math.exp(-2)) + 0.02)
    assert see(controller, 6.0) == pytest.approx(0.5 + 0.2 / (1 + math.exp(-1)) + 0.02 + 0.01)


@pytest.mark.parametrize("steps", [100, 2000])
@pytest.mark.parametrize("kp", [0.0, 0.01])
@pytest.mark.parametrize(("stuck", "bound", "freed"), [(400.0, 10.0, 1.0), (0.0, 0.0, 40.0)])
def test_control_recovers_from_saturation_however_long_it_lasted(steps, kp, stuck, bound, freed):
    """A KL that no beta changes holds beta at its bound; the integral does not wind up meanwhile."""
    controller = control(kp=kp)
    assert run(controller, lambda beta: stuck, steps)[0] == pytest.approx(bound, abs=kp)
    moved = see(controller, freed) - bound
    assert moved == pytest.approx(controller.ki * (freed - 4.0), abs=1.01 * kp + 1e-6)
    assert moved * (freed - 4.0) > 0


def test_one_large_step_goes_to_the_bound_and_no_further():
    controller = control(kp=0.0, ki=1.0)
    assert see(controller, 400.0) == 10.0
    assert float(controller.integral) == 10.0
    assert see(controller, 0.0) == 6.0
    assert see(controller, 0.0) == 2.0
    assert see(controller, 0.0) == 0.0
    assert float(controller.integral) == 0.0


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30))
def test_beta_stays_in_its_range(values):
    controller = control(beta_min=0.25, beta_max=2.0)
    for value in values:
        assert 0.25 <= see(controller, value) <= 2.0
        assert -0.01 - 1e-6 <= float(controller.integral) <= 1.75 + 1e-6


def test_geco_finds_the_multiplier_that_just_meets_the_tolerance():
    """Error = 0.002 + 0.1 / (1 + λ), which meets 0.01 at λ = 11.5."""
    beta, value = run(geco(), lambda beta: 0.002 + 0.1 / (1 + 1 / beta), 3000, beta=1.0)
    assert value == pytest.approx(0.01, rel=1e-2)
    assert 1 / beta == pytest.approx(11.5, rel=2e-2)


def test_gecos_first_steps_by_hand():
    controller = geco(rate=0.1, decay=0.75, multiplier_start=2.0)
    assert 1 / see(controller, 0.015) == pytest.approx(2 * math.exp(0.1 * 0.5))
    average = 0.75 * 0.015 + 0.25 * 0.009
    assert 1 / see(controller, 0.009) == pytest.approx(2 * math.exp(0.1 * 0.5 + 0.1 * (average / 0.01 - 1)))
    before = float(controller.log_multiplier)
    see(controller, 1e3)  # no more than rate, however large the error
    assert float(controller.log_multiplier) - before == pytest.approx(0.1)


@pytest.mark.parametrize("steps", [500, 1500])
def test_geco_recovers_from_saturation_however_long_it_lasted(steps):
    controller = geco(decay=0.0, multiplier_max=100.0)
    assert 1 / run(controller, lambda beta: 1.0, steps, beta=1.0)[0] == pytest.approx(100)
    assert 1 / see(controller, 0.005) == pytest.approx(100 * math.exp(-0.005))


@pytest.mark.parametrize("make", [control, geco])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_not_observed(make, bad):
    """The guard skips such a batch, and the state must not keep it."""
    disturbed, other = make(), make()
    for value in (5.0, bad, 7.0):
        last = see(disturbed, value)
        if math.isfinite(value):
            wanted = see(other, value)
    assert last == wanted
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in disturbed.state_dict().items())


def test_a_first_batch_that_is_not_finite_leaves_geco_without_an_average():
    controller = geco()
    assert see(controller, math.nan) == 1.0
    see(controller, 0.02)
    assert float(controller.average) == pytest.approx(0.02)


@pytest.mark.parametrize("make", [control, geco])
def test_state_goes_through_a_state_dict(make):
    first, second = make(), make()
    run(first, lambda beta: 6.0, 50, beta=1.0)
    second.load_state_dict(first.state_dict())
    assert see(first, 3.0) == see(second, 3.0)
    assert see(first, 3.0) != see(make(), 3.0)


@pytest.mark.parametrize("base", [Elbo(), Elbo(kl_reduction="mean"), SigmaVae()])
def test_the_controlled_kl_is_in_nats_per_frame_whatever_the_units_of_the_bound(base):
    predicted, target = prediction()
    terms = ControlVae(base=base, kl_target=4.0)(predicted, target, POSES)
    torch.testing.assert_close(terms["kl_per_frame"], Elbo()(predicted, target, POSES)["kl"] / 3)


def test_the_constrained_error_is_the_bounds_term_per_frame():
    predicted, target = prediction()
    terms = geco()(predicted, target, POSES)
    torch.testing.assert_close(terms["reconstruction_per_frame"], ((predicted.frames - target) ** 2).flatten(1).mean(1))
    assert geco().weights(0.25) == {"reconstruction": 4.0, "kl": 1.0, "reconstruction_per_frame": 0.0}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ControlVae(base=Elbo()), r"kl_target=… is needed"),
        (lambda: Geco(base=Elbo()), r"tolerance=… is needed"),
        (lambda: control(kl_target=-1.0), "kl_target"),
        (lambda: control(beta_min=2.0, beta_max=1.0), "beta_min"),
        (lambda: geco(decay=1.0), "decay"),
        (lambda: geco(multiplier_start=1e9), "multiplier"),
    ],
)
def test_a_controller_without_a_set_point_or_with_numbers_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def _observe_as_one_of_two(rank: int, store: str, out: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    controllers = control(kp=0.0), geco()
    betas = [see(controller, 1.0 + 4 * rank) for controller in controllers]
    torch.save((betas, [controller.state_dict() for controller in controllers]), f"{out}-{rank}")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_processes_agree_on_the_mean_of_what_they_see(tmp_path):
    """One sees 1, the other 5: both act on 3."""
    out = tmp_path / "seen"
    torch.multiprocessing.spawn(_observe_as_one_of_two, (str(tmp_path / "store"), str(out)), nprocs=2)
    first, second = (torch.load(f"{out}-{rank}") for rank in range(2))
    assert first == second
    controllers = control(kp=0.0), geco()
    assert first[0] == [pytest.approx(see(controller, 3.0)) for controller in controllers]
