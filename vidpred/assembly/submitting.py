"""The lab's submission: all clips of a split, rolled out into one CSV file."""

from pathlib import Path

from omegaconf import DictConfig

from vidpred.assembly.trained import data_of
from vidpred.data.clips import whole_sequence
from vidpred.data.source import Split
from vidpred.interop.submission import Score, SubmissionWriter, read_submission, score_submission
from vidpred.predictor import Predictor
from vidpred.reporting.progress import count_frames


def write_submission(cfg: DictConfig, predictor: Predictor, out: Path) -> int:
    """Every sequence of the split, its context frame first; the number of rows.

    Raises:
        ValueError: if sequences differ in length, so that no scorer could tell them apart.
    """
    data = data_of(predictor)
    split: Split = cfg.split
    store = data.store(split)
    lengths = {(info.length - 1) // data.frame_step + 1 for info in store.sequences}
    if len(lengths) > 1:
        raise ValueError(f"format=submission needs sequences of one length, those of {split} have {sorted(lengths)}")
    known = predictor.context_frames
    total = len(store.sequences) * (lengths.pop() - known)
    with SubmissionWriter(out) as writer, count_frames(total) as advance:
        for number in range(len(store.sequences)):
            frames, poses = whole_sequence(store, data.poses, number, step=data.frame_step)
            writer.add(frames[:known].float() / 255)
            pieces = predictor.stream(frames[:known], poses[None].to(predictor.device), z=cfg.z,
                                      temperature=cfg.temperature, seed=cfg.seed + number)  # fmt: skip
            for piece in pieces:
                writer.add(piece[0])
                advance(piece.shape[1])
    return total + len(store.sequences) * known


def score_files(cfg: DictConfig, submission: Path) -> Score:
    """A submission against the truth, as the lab's scorer does.

    Raises:
        ValueError: if one of the files is no submission, or they do not fit each other.
    """
    mine, truth = read_submission(submission), read_submission(Path(cfg.score).expanduser())
    return score_submission(mine, truth, length=cfg.sequence_length, counted=cfg.counted)
