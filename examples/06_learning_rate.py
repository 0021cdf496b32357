"""Which learning rate to begin with?

Two ways to find out without trying everything. The curvature: in a bowl with second derivative c,
steps with a rate above 2 / c climb out (the last curve of 01_one_weight.py, where c is 2). The cost
of a network curves more in some directions than in others, and the most curved one sets the limit.
And the range test: raise the rate a bit with every mini-batch and watch the cost fall, then rise.

    python 06_learning_rate.py [PICTURE]
"""

import sys

import fastgd
from fastgd.plot import LearningRateDisplay, theme

digits = fastgd.data.split(fastgd.data.load("digits"), seed=0)
settings = {"activation": "relu", "output": "softmax", "loss": "cross_entropy"}
net = fastgd.Network([64, 30, 10], input_scale=digits.input_scale, seed=0, **settings)

with theme("light"):
    display = LearningRateDisplay.from_network(net, digits.X, digits.y, batch_size=10)
    display.save(sys.argv[1] if len(sys.argv) > 1 else "learning_rate.png")
found = display.learning_rate  # fastgd.suggest_learning_rate(...) gives it without the picture
print(found, "\n")

for rate in (found.suggested / 100, found.suggested, found.suggested * 100):
    net = fastgd.Network([64, 30, 10], input_scale=digits.input_scale, seed=0, **settings)
    net.fit(digits.X, digits.y, epochs=5, batch_size=10, optimizer=fastgd.SGD(rate))
    score = net.score(digits.X_test, digits.y_test)
    print(f"rate {rate:8.3g}: {score:.1%} of unseen digits right after 5 epochs")
