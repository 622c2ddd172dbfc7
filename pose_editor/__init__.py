"""The draggable skeleton: a Gradio component written as plain Python, JavaScript, CSS and HTML."""

import gradio.component_meta as _meta

from pose_editor.value import EditorValue, LiveRequest

# Gradio writes a stub file of 31 KB beside the source of every component that is imported. But an
# import must not write anything, and type checkers would take the stub for the component.
_write_stub = _meta.create_or_modify_pyi
_meta.create_or_modify_pyi = lambda *_: None
try:
    from pose_editor.component import PoseEditor
finally:
    _meta.create_or_modify_pyi = _write_stub

__all__ = ["EditorValue", "LiveRequest", "PoseEditor"]
