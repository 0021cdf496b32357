"""The path of training on the landscape of the cost.

Rolling downhill is easy to picture with two weights, but this network has 2,260, and its landscape
as many dimensions. One can still look at a slice: the flat plane that lies closest to the way the
parameters went while the network learned. The heights on the map are true costs of real networks,
one for every point; the line is the training, seen from above.

    python 04_landscape.py [PICTURE]
"""

import sys

import fastgd
from fastgd.explain.landscape import training_path
from fastgd.plot import LandscapeDisplay, theme

digits = fastgd.data.load("digits")
net = fastgd.Network([64, 30, 10], input_scale=digits.input_scale, seed=0)
path = training_path(
    net, digits.X, digits.y, epochs=30, batch_size=10, optimizer=fastgd.SGD(learning_rate=3.0)
)
print(path)

with theme("light"):
    display = LandscapeDisplay.from_network(
        net, digits.X, digits.y, directions="path", path=path, points=50
    )
    display.save(sys.argv[1] if len(sys.argv) > 1 else "landscape.png")
print(display.landscape)
