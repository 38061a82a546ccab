"""From a configuration to objects: the only room that instantiates what YAML files name."""

from vidpred.assembly.animating import default_film, set_stage
from vidpred.assembly.building import build, to_plain
from vidpred.assembly.evaluating import Evaluation, evaluate_checkpoints, find_checkpoints
from vidpred.assembly.parts import build_data, build_model, build_preparation
from vidpred.assembly.plan import Plan
from vidpred.assembly.processes import join_processes
from vidpred.assembly.run import Run, build_run, prepare_plan
from vidpred.assembly.trained import data_of, load_predictor
from vidpred.configuration import compose

__all__ = [
    "Plan",
    "Run",
    "build",
    "build_data",
    "build_model",
    "build_preparation",
    "build_run",
    "prepare_plan",
    "compose",
    "data_of",
    "default_film",
    "Evaluation",
    "evaluate_checkpoints",
    "find_checkpoints",
    "join_processes",
    "load_predictor",
    "set_stage",
    "to_plain",
]
