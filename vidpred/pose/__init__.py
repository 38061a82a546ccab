"""Poses: skeletons and how keypoints become pose maps."""
