"""The negative gradient, read aloud: one nudge for each weight and bias.

The gradient looks frightening: a list of 13,002 numbers for the 784-16-16-10 network of the videos.
Read it one by one. The sign says whether a weight should go up or down to lower the cost, the size
how much that matters: for a few a lot, for most a little. Here the network has trained for five
epochs: it knows something and has much to learn. The last table asks how far one can trust all
this: for a small step the cost falls just as the slopes say, for a large one it does not.

    python 03_nudges.py [PICTURE [FOLDER]]

FOLDER holds MNIST's files (`fastgd.data.fetch_mnist()` downloads them). Without it, a network with
the same hidden layers reads the 8 x 8 digits that come with fastgd.
"""

import sys

import fastgd
from fastgd.plot import NudgesDisplay, theme

digits = fastgd.data.load(sys.argv[2] if len(sys.argv) > 2 else "digits")
sizes = [digits.n_features, 16, 16, 10]
net = fastgd.Network(sizes, input_scale=digits.input_scale, seed=0)
net.fit(digits.X, digits.y, epochs=5, batch_size=10, optimizer=fastgd.SGD(learning_rate=3.0))

print(f"{'-'.join(map(str, sizes))}: {net.n_parameters:,} weights and biases")
with theme("light"):
    display = NudgesDisplay.from_network(
        net, digits.X, digits.y, top=20, learning_rate=1.0, image_shape=digits.image_shape
    )
    display.save(sys.argv[1] if len(sys.argv) > 1 else "nudges.png")
print(display.told)
