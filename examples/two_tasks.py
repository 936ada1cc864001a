"""Two tasks, one after the other: the digits 0 to 4, then 5 to 9, without the images of the first.

python examples/two_tasks.py
"""

from __future__ import annotations

from scholars import Settings, accuracy, changed, learn, open_task

digits = open_task("digits")  # scikit-learn's: 8 x 8 pixels, 1,797 images
low, high = digits.select_classes(list("01234")), digits.select_classes(list("56789"))
# Small networks and few steps: seconds on a CPU. With the defaults it takes minutes.
solver = {"solver.kind": "mlp", "solver.width": 256, "solver.steps": 150}
generator = {"generator.steps": 150, "generator.rate": 0.003, "generator.critic_rate": 0.003}
shape = {"image.size": 8, "image.channels": 1}
settings = changed(Settings(), solver | generator | shape | {"replay.bank": 1000})

one = learn(low, settings=settings)  # generation 1
two = learn(high, previous=one)  # generation 2: learns from ``high``, and from what generation 1 dreams
naive = learn(high, previous=one, past=[])  # the same without dreams

images, probabilities = two.dream(10)  # uint8 [10, 1, 8, 8], and the solver's probabilities [10, 10]
print("dreams of:", *(two.classes[label] for label in probabilities.argmax(1)))
print("predicted:", *two.predict(low.test.images[:10]))
print("truth:    ", *(low.classes[label] for label in low.test.labels[:10]))
for name, scholar in {"naive": naive, "replay": two}.items():
    print(f"{name}: {accuracy(scholar, low):.1%} of the digits 0 to 4, {accuracy(scholar, high):.1%} of 5 to 9")
