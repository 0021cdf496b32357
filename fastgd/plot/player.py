"""One HTML page that plays pictures: no file or address besides itself."""

from __future__ import annotations

import json
from collections.abc import Sequence

__all__ = ["html_player"]

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>A network learns</title>
<style>
body {{ margin: 1em; background: {background}; color: {text}; font: 15px sans-serif; }}
img {{ max-width: 100%; display: block; }}
div {{ display: flex; gap: 1em; align-items: center; max-width: 840px; margin-top: .5em; }}
input {{ flex: 1; }}
button {{ font: inherit; min-width: 5em; }}
output {{ min-width: 17em; }}
</style>
<img id="picture" alt="Cost, weights and predictions of a network as it learns">
<div>
<button id="play">pause</button>
<input id="slider" type="range" min="0" value="0" aria-label="frame">
<output id="words"></output>
</div>
<script>
const pictures = {pictures};
const words = {words};
const get = (id) => document.getElementById(id);
let frame = 0, timer = null;
function show(n) {{
  frame = n;
  get("picture").src = "data:image/png;base64," + pictures[n];
  get("slider").value = n;
  get("words").textContent = words[n];
}}
function stop() {{
  clearInterval(timer);
  timer = null;
  get("play").textContent = "play";
}}
function play() {{
  if (frame === pictures.length - 1) show(0);
  get("play").textContent = "pause";
  timer = setInterval(() => {{
    if (frame === pictures.length - 1) stop(); else show(frame + 1);
  }}, {milliseconds});
}}
get("slider").max = pictures.length - 1;
get("slider").oninput = (event) => {{ stop(); show(+event.target.value); }};
get("play").onclick = () => timer ? stop() : play();
show(0);
play();
</script>
</html>
"""


def html_player(
    pictures: Sequence[str], words: Sequence[str], milliseconds: int, background: str, text: str
) -> str:
    """Return a page that plays PNG pictures, each with words beside the slider.

    Parameters
    ----------
    pictures : sequence of str
        PNG files in base64.
    words : sequence of str
        What is said of each.
    milliseconds : int
        How long each is seen.
    background, text : str
        Colours, as CSS has them.

    Examples
    --------
    >>> "iVBOR" in html_player(["iVBOR"], ["epoch 0"], 100, "#ffffff", "#000000")
    True
    """
    said = json.dumps(list(words)).replace("<", "\\u003c")
    return PAGE.format(
        pictures=json.dumps(list(pictures)), words=said, milliseconds=milliseconds,
        background=background, text=text,
    )  # fmt: skip
