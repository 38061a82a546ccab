"""From a configuration to objects: the only room that instantiates what YAML files name."""

from vidpred.assembly.animating import default_film, set_stage
from vidpred.assembly.building import build, to_plain
from vidpred.assembly.evaluating import Evaluation, evaluate_checkpoints, find_checkpoints
from vidpred.assembly.exporting import export
from vidpred.assembly.parts import build_data, build_model, build_preparation
from vidpred.assembly.plan import Plan
from vidpred.assembly.processes import join_processes
from vidpred.assembly.run import Run, build_run, find_resume_point, prepare_plan
from vidpred.assembly.submitting import score_files, write_submission
from vidpred.assembly.trained import LabOptions, data_of, load_predictor, open_checkpoint
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
    "LabOptions",
    "evaluate_checkpoints",
    "export",
    "find_checkpoints",
    "find_resume_point",
    "join_processes",
    "load_predictor",
    "open_checkpoint",
    "score_files",
    "write_submission",
    "set_stage",
    "to_plain",
]
