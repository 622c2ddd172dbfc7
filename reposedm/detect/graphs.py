"""The three small networks inside mediapipe's wheel, as plain functions of a picture.

``mediapipe.solutions.pose`` finds one person and hides how sure it is. The graphs below use the
same model files (they come with the wheel, nothing is downloaded) but give what we need: every
person's box, the landmarks of any region we ask for with their presence score, and the mask.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reposedm.detect.mediapipe_import import import_mediapipe
from reposedm.errors import DetectionError

FINDER_SIDE = 224
LANDMARK_SIDE = 256

_TENSOR = """
node {{
  calculator: "ImageToTensorCalculator"
  input_stream: "IMAGE:image" output_stream: "TENSORS:input"
  options {{ [mediapipe.ImageToTensorCalculatorOptions.ext] {{
    output_tensor_width: {side} output_tensor_height: {side} keep_aspect_ratio: false
    output_tensor_float_range {{ min: {low} max: 1 }}
    gpu_origin: TOP_LEFT border_mode: BORDER_ZERO }} }}
}}
node {{
  calculator: "InferenceCalculatorCpu"
  input_stream: "TENSORS:input" output_stream: "TENSORS:output"
  options {{ [mediapipe.InferenceCalculatorOptions.ext] {{
    model_path: "mediapipe/modules/{model}" delegate {{ xnnpack {{ num_threads: 1 }} }} }} }}
}}
"""

_FINDER = (
    'input_stream: "image" output_stream: "people"'
    + _TENSOR.format(side=FINDER_SIDE, low=-1, model="pose_detection/pose_detection.tflite")
    + """
node {
  calculator: "SsdAnchorsCalculator" output_side_packet: "anchors"
  options { [mediapipe.SsdAnchorsCalculatorOptions.ext] {
    input_size_width: 224 input_size_height: 224 min_scale: 0.1484375 max_scale: 0.75
    anchor_offset_x: 0.5 anchor_offset_y: 0.5 num_layers: 5
    strides: 8 strides: 16 strides: 32 strides: 32 strides: 32
    aspect_ratios: 1 fixed_anchor_size: true } }
}
node {
  calculator: "TensorsToDetectionsCalculator"
  input_stream: "TENSORS:output" output_stream: "DETECTIONS:all"
  input_side_packet: "ANCHORS:anchors"
  options { [mediapipe.TensorsToDetectionsCalculatorOptions.ext] {
    num_classes: 1 num_boxes: 2254 num_coords: 12
    x_scale: 224 y_scale: 224 w_scale: 224 h_scale: 224
    keypoint_coord_offset: 4 num_keypoints: 4 num_values_per_keypoint: 2 box_coord_offset: 0
    reverse_output_order: true sigmoid_score: true score_clipping_thresh: 100
    min_score_thresh: 0.3 } }
}
node {
  calculator: "NonMaxSuppressionCalculator"
  input_stream: "all" output_stream: "people"
  options { [mediapipe.NonMaxSuppressionCalculatorOptions.ext] {
    min_suppression_threshold: 0.3 overlap_type: INTERSECTION_OVER_UNION algorithm: WEIGHTED } }
}
"""
)

_LANDMARKS = (
    'input_stream: "image" output_stream: "presence" output_stream: "points" output_stream: "mask"'
    + _TENSOR.format(side=LANDMARK_SIDE, low=0, model="pose_landmark/pose_landmark_full.tflite")
    + """
node {
  calculator: "SplitTensorVectorCalculator" input_stream: "output"
  output_stream: "raw_points" output_stream: "flag" output_stream: "raw_mask"
  output_stream: "heat"
  options { [mediapipe.SplitVectorCalculatorOptions.ext] {
    ranges { begin: 0 end: 1 } ranges { begin: 1 end: 2 } ranges { begin: 2 end: 3 }
    ranges { begin: 3 end: 4 } } }
}
node {
  calculator: "TensorsToFloatsCalculator"
  input_stream: "TENSORS:flag" output_stream: "FLOAT:presence"
}
node {
  calculator: "TensorsToLandmarksCalculator"
  input_stream: "TENSORS:raw_points" output_stream: "NORM_LANDMARKS:coarse"
  options { [mediapipe.TensorsToLandmarksCalculatorOptions.ext] {
    num_landmarks: 39 input_image_width: 256 input_image_height: 256
    visibility_activation: SIGMOID presence_activation: SIGMOID } }
}
node {
  calculator: "RefineLandmarksFromHeatmapCalculator"
  input_stream: "NORM_LANDMARKS:coarse" input_stream: "TENSORS:heat"
  output_stream: "NORM_LANDMARKS:points"
  options { [mediapipe.RefineLandmarksFromHeatmapCalculatorOptions.ext] { kernel_size: 7 } }
}
node {
  calculator: "TensorsToSegmentationCalculator"
  input_stream: "TENSORS:raw_mask" output_stream: "MASK:mask"
  options { [mediapipe.TensorsToSegmentationCalculatorOptions.ext] {
    gpu_origin: TOP_LEFT activation: SIGMOID } }
}
"""
)

_SELFIE = (
    'input_stream: "image" output_stream: "mask"'
    + _TENSOR.format(
        side=LANDMARK_SIDE, low=0, model="selfie_segmentation/selfie_segmentation.tflite"
    )
    + """
node {
  calculator: "TensorsToSegmentationCalculator"
  input_stream: "TENSORS:output" output_stream: "MASK:mask"
  options { [mediapipe.TensorsToSegmentationCalculatorOptions.ext] {
    gpu_origin: TOP_LEFT activation: NONE } }
}
"""
)

# Lines that mediapipe prints whenever a graph starts, none of which a user can act on.
_SPAM = re.compile(
    rb"TensorFlow Lite XNNPACK delegate|absl::InitializeLog|inference_feedback_manager"
    rb"|gl_context|GL version|landmark_projection_calculator|^\s*$"
)


class Graph:
    """One running mediapipe graph: pictures in, packets out. Not for several threads at once."""

    def __init__(self, text: str, outputs: tuple[str, ...]) -> None:
        """Start the graph of ``text`` and listen to ``outputs``."""
        mp = self._mp = import_mediapipe()
        self._packets: dict[str, Any] = {}
        self._time = 0
        self._graph = mp.CalculatorGraph(graph_config=text)
        for name in outputs:
            self._graph.observe_output_stream(name, self._packets.__setitem__)
        self._graph.start_run()

    def __call__(self, image: NDArray[np.uint8]) -> dict[str, Any]:
        """Packets of ``image`` uint8 (H, W, 3) RGB by stream name; silent streams are absent."""
        self._packets.clear()
        self._time += 1
        frame = self._mp.packet_creator.create_image_frame(
            image_format=self._mp.ImageFormat.SRGB, data=np.ascontiguousarray(image)
        )
        self._graph.add_packet_to_input_stream("image", frame.at(self._time))
        self._graph.wait_until_idle()
        return dict(self._packets)

    def close(self) -> None:
        """Stop the graph's threads."""
        self._graph.close_all_packet_sources()
        self._graph.wait_until_done()


class Networks:
    """The warm networks of this process; every call holds one lock."""

    def __init__(self) -> None:
        """Nothing is loaded yet: each network starts on its first use."""
        self._lock = threading.RLock()
        self._graphs: dict[str, Graph] = {}

    def find(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """People on a 224 px square: (N,) scores and (N, 4, 2) key points in [0, 1] of the side.

        Key points: middle of the hips, a point on the circle around the whole person, middle of
        the shoulders, a point on the circle around the upper body.
        """
        with self._lock:
            packets = self._run("finder", image)
            found = (
                self._mp().packet_getter.get_proto_list(packets["people"])
                if "people" in packets
                else []
            )
        points = [[(p.x, p.y) for p in person.location_data.relative_keypoints] for person in found]
        scores = np.array([person.score[0] for person in found], np.float32)
        return scores, np.array(points, np.float32).reshape(-1, 4, 2)

    def landmarks(
        self, image: NDArray[np.uint8]
    ) -> tuple[float, NDArray[np.float32], NDArray[np.float32]]:
        """The person that fills a 256 px square.

        Returns:
            presence in [0, 1]; (39, 4) of x, y, z in [0, 1] of the side and visibility in [0, 1]
            (33 joints, then two points that give the region's centre and size); the person's
            mask float32 (256, 256) in [0, 1].
        """
        with self._lock:
            packets = self._run("landmarks", image)
            getter = self._mp().packet_getter
            presence = getter.get_float(packets["presence"])
            points = getter.get_proto(packets["points"]).landmark
            mask = _plane(getter.get_image(packets["mask"]))
        values = [(p.x, p.y, p.z, p.visibility) for p in points]
        return float(presence), np.array(values, np.float32), mask

    def selfie(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Mask float32 (256, 256) in [0, 1] of all people on a 256 px square."""
        with self._lock:
            packets = self._run("selfie", image)
            return _plane(self._mp().packet_getter.get_image(packets["mask"]))

    def close(self) -> None:
        """Stop and forget every network; the next call starts them again."""
        with self._lock:
            for graph in self._graphs.values():
                graph.close()
            self._graphs.clear()

    def _run(self, name: str, image: NDArray[np.uint8]) -> dict[str, Any]:
        if name in self._graphs:
            return self._graphs[name](image)
        text, outputs = {
            "finder": (_FINDER, ("people",)),
            "landmarks": (_LANDMARKS, ("presence", "points", "mask")),
            "selfie": (_SELFIE, ("mask",)),
        }[name]
        # The log lines come from the first inference too, so it runs with them held back.
        with _without_spam():
            self._mp()
            graph = Graph(text, outputs)
            packets = graph(image)
        self._graphs[name] = graph
        return packets

    @staticmethod
    def _mp() -> Any:
        os.environ.setdefault("GLOG_minloglevel", "2")
        try:
            mp = import_mediapipe()
            from mediapipe.python._framework_bindings import resource_util
        except ImportError as error:
            raise DetectionError(
                "The person detector needs the package mediapipe 0.10.21, which cannot be loaded "
                f"here ({error}): install the requirements again, or choose another detector"
            ) from error
        resource_util.set_resource_dir(os.path.dirname(os.path.dirname(mp.__file__)))
        return mp


networks = Networks()
"""The one set of warm networks."""


def _plane(image: Any) -> NDArray[np.float32]:
    values = np.array(image.numpy_view(), np.float32)
    return values[..., 0] if values.ndim == 3 else values


@contextmanager
def _without_spam() -> Iterator[None]:
    """Hold back what C++ prints to stderr; afterwards print all of it that is not known spam."""
    try:
        saved = os.dup(2)
    except OSError:  # no stderr at all, as under some Windows launchers: nothing to silence
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            held.seek(0)
            rest = [line for line in held if not _SPAM.search(line)]
            if rest:
                os.write(2, b"".join(rest))
