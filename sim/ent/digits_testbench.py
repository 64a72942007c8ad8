"""Real input: every matrix product of the digits network's test split runs on the circuit."""

import numpy as np

from golden.digits import classify, layers, product
from sim.bench import Bench, bench_test
from sim.ent.digits import float_accuracy, load_network, test_split
from sim.ent.driver import driver


@bench_test
async def digits_network(bench: Bench) -> None:
    """Classify 360 images: each product bit-exact, the classes those of the golden network."""
    multiplier = driver(bench)
    network, (images, labels) = load_network(), test_split()
    results = []
    for number, (a, b) in enumerate(layers(network, images), start=1):
        results.append(await multiplier.multiply(a, b))
        bench.check_equal(results[-1], product(a, b), f"layer {number}: image, neuron")
    remaining = iter(results)
    classes, _ = classify(network, images, lambda _a, _b: next(remaining))
    bench.check_equal(classes, classify(network, images)[0], "class by image")
    bench.figures["digits_accuracy"] = float(np.mean(classes == labels))
    bench.figures["digits_accuracy_float"] = float_accuracy()
