"""Boosted trees on scikit-learn's digits: a line each few rounds, and the model at the very end.

python train.py --out model.json --eta 0.05
"""

import argparse

import xgboost as xgb
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, default=3000)
parser.add_argument("--eta", type=float, default=0.05)
parser.add_argument("--max_depth", type=int, default=6)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", default="model.json")
options = parser.parse_args()

inputs, targets = load_digits(return_X_y=True)
parts = train_test_split(inputs, targets, test_size=0.2, random_state=options.seed)
training, validation = xgb.DMatrix(parts[0], parts[2]), xgb.DMatrix(parts[1], parts[3])
booster = xgb.train(
    {
        "objective": "multi:softprob",
        "num_class": 10,
        "eta": options.eta,
        "max_depth": options.max_depth,
        "subsample": 0.5,
        "seed": options.seed,
        "eval_metric": ["mlogloss", "merror"],
        "nthread": 1,
    },
    training,
    options.rounds,
    evals=[(training, "train"), (validation, "val")],
    verbose_eval=100,
)
booster.save_model(options.out)
