"""Split MNIST by Avalanche's GenerativeReplay. Run by peers.py in an environment of Avalanche's own.

python benchmarks/peers_avalanche.py DATA_DIR EPOCHS SEED

Prints one JSON object: the accuracy on all of the test part after the last task, and the seconds of training.
"""

import json
import sys
import time

import torch
from avalanche.benchmarks.classic import SplitMNIST
from avalanche.evaluation.metrics import accuracy_metrics
from avalanche.models import SimpleMLP
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.supervised import GenerativeReplay


def main() -> None:
    data_dir, epochs, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.manual_seed(seed)
    stream = SplitMNIST(5, fixed_class_order=list(range(10)), dataset_root=data_dir, seed=seed)
    model = SimpleMLP(num_classes=10)
    strategy = GenerativeReplay(
        model=model,
        optimizer=torch.optim.Adam(model.parameters(), lr=0.001),
        train_mb_size=100,
        train_epochs=epochs,
        eval_mb_size=500,
        evaluator=EvaluationPlugin(accuracy_metrics(stream=True), loggers=[]),
    )
    began = time.perf_counter()
    for experience in stream.train_stream:
        strategy.train(experience)
    seconds = time.perf_counter() - began
    found = strategy.eval(stream.test_stream)
    (accuracy,) = (value for name, value in found.items() if name.startswith("Top1_Acc_Stream"))
    conditions = {"threads": torch.get_num_threads(), "torch": torch.__version__}
    sys.stdout.write(json.dumps({"accuracy": accuracy, "seconds": round(seconds, 1), **conditions}) + "\n")


if __name__ == "__main__":
    main()
