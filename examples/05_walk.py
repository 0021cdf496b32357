"""The drunken walk: full batch, mini-batches and single examples from one start.

The true gradient is an average over all examples. It points straight downhill, but each step has to
look at all of them, here 100. A mini-batch of ten gives a rough idea of it for a tenth of the work:
it staggers like a drunk, but makes ten steps where the careful one makes one. All three walks look
at the same number of examples. See who is lower at the end.

    python 05_walk.py [PICTURE]
"""

import sys

import fastgd
from fastgd.plot import PathsDisplay, theme

digits = fastgd.data.load("digits")
net = fastgd.Network([64, 30, 10], input_scale=digits.input_scale, seed=0)
X, y = digits.X[:100], digits.y[:100]

with theme("light"):
    display = PathsDisplay.from_network(
        net, X, y, epochs=20, batch_sizes=[None, 10, 1], optimizer=fastgd.SGD(learning_rate=3.0)
    )
    display.save(sys.argv[1] if len(sys.argv) > 1 else "walk.png")
print(display.paths)
