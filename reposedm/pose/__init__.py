"""Poses: the type, files, drawing, network encodings, retargeting and the library of presets."""

from reposedm.pose.accuracy import pckh, within_torso
from reposedm.pose.draw import draw_map
from reposedm.pose.encode import heat_maps, pidm_encoding
from reposedm.pose.io import (
    parse_people,
    parse_pose,
    read_pose_file,
    save_map_png,
    to_editor,
    to_openpose,
)
from reposedm.pose.pose import JointState, Pose
from reposedm.pose.presets import default_pose, preset, preset_names, presets_json
from reposedm.pose.retarget import hide_outside, retarget

__all__ = [
    "JointState",
    "Pose",
    "default_pose",
    "draw_map",
    "heat_maps",
    "hide_outside",
    "parse_people",
    "parse_pose",
    "pckh",
    "pidm_encoding",
    "preset",
    "preset_names",
    "presets_json",
    "read_pose_file",
    "retarget",
    "save_map_png",
    "to_editor",
    "to_openpose",
    "within_torso",
]
