"""The best path through classes that prefer to stay as they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def sticky_viterbi(log_likelihood_NK: NDArray[np.floating], self_transition: float) -> NDArray[np.intp]:
    """The best path of a chain that stays in its class with one probability and else goes to any other alike.

    All classes being alike, the best one to come from is either the class itself or the best of all, so a
    frame costs K steps and not K².

    Args:
        log_likelihood_NK: Log probability of each class by frame, up to a constant a frame.
        self_transition: Probability to stay, in [1 / K, 1).

    Returns:
        The class of each frame, (N,).
    """
    num_frames, num_classes = log_likelihood_NK.shape
    if not 1 / num_classes <= self_transition < 1:
        raise ValueError(f"head.self_transition must lie in [1 / {num_classes}, 1), got {self_transition}")
    log_stay = np.log(self_transition)
    log_move = np.log((1 - self_transition) / max(1, num_classes - 1))
    own_K = np.arange(num_classes)
    came_from_NK = np.empty((num_frames, num_classes), dtype=np.int16)
    score_K = log_likelihood_NK[0].astype(np.float64)
    for frame in range(1, num_frames):
        best = int(score_K.argmax())
        stay_K = score_K + log_stay
        move = score_K[best] + log_move
        came_from_NK[frame] = np.where(stay_K >= move, own_K, best)
        score_K = np.maximum(stay_K, move) + log_likelihood_NK[frame]
    path_N = np.empty(num_frames, dtype=np.intp)
    path_N[-1] = score_K.argmax()
    for frame in range(num_frames - 1, 0, -1):
        path_N[frame - 1] = came_from_NK[frame, path_N[frame]]
    return path_N
