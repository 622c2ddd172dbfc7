"""The About tab: what this is, what it cannot do, and how to use it with care."""

ABOUT = """
### What this does
You upload a photograph of a person, drag the joints of the skeleton on it, and get that person in
the new pose, at the photo's own resolution. Everything happens on the machine this app runs on:
no picture is sent anywhere.

### Methods
**Preview** warps the photo itself, limb by limb: quick, faithful to the clothes, and unable to
invent what the photo does not show (the back of a person seen from the front, a hidden leg). It
is also what you see while you drag. Methods that generate pictures are listed in *Settings* when
their weights are installed.

### Swap a garment
On the tab *Garment swap* a person puts on the garment of another picture: worn by somebody in any
pose, or alone on a plain ground. The mask shows what may change; paint and erase until it is
right. Outside of it not a single pixel of your photo changes. **Paste the warp** lays the
garment's own pixels onto the person; it makes no new folds, and makes up plainly what the old
garment hid.

### Tips
- Start from a photo with the whole person, arms away from the body.
- Right-click a joint (or press H): visible, behind the body, hidden.
- *Keep bone lengths* makes every drag a possible pose; the list under the picture says what looks
  wrong and fixes it.

### With care
Use only photographs of people who agreed to it. Results are marked as AI-generated in the file,
and that mark cannot be switched off. Do not pass results off as real photographs.

### Keyboard
Tab to a joint, **N**/**P** next and previous, arrows move by 1 px (**Shift** 10), **H**
visibility, **M** mirror, **Ctrl+Z** / **Ctrl+Shift+Z** undo and redo, **0** fit, **Esc** cancels
a drag.

Method: RePoseDM (arXiv 2310.16074). Code: Apache-2.0.
"""
