"""The tabs of the app. With pose_editor and app.py the only importers of gradio."""
