"""Trains a small neural network on the 1,797 handwritten digits that come with scikit-learn.

Submit it: foundations submit scheduler examples/digits main.py
"""

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, classification_report, confusion_matrix, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import foundations

# Used when the script is run by hand; a job has those of its job.config.yaml or of --params.
DEFAULTS = {
    "hidden_units": 64,
    "learning_rate": 0.002,
    "batch_size": 32,
    "epochs": 12,
    "seed": 7,
}


def load_data(seed):
    """Return training images, test images, training labels and test labels; pixels from 0 to 1."""
    images, labels = load_digits(return_X_y=True)
    return train_test_split(
        images / 16.0, labels, test_size=0.25, random_state=seed, stratify=labels
    )


def train_epoch(model, images, labels, batch_size, rng):
    """Show every training image to the model once, in random order."""
    order = rng.permutation(len(images))
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        model.partial_fit(images[batch], labels[batch], classes=np.arange(10))


def write_report(labels, predicted, path):
    """Write how often each digit was read as each other one."""
    with open(path, "w", encoding="utf-8") as report:
        report.write(classification_report(labels, predicted, digits=3))
        report.write("\nRows: the digit shown. Columns: the digit read.\n")
        report.write(str(confusion_matrix(labels, predicted)) + "\n")


def main():
    """Train, log as it goes, and keep the model and a report."""
    params = {**DEFAULTS, **foundations.load_parameters(log_parameters=False)}
    foundations.log_params(params)
    foundations.set_tag("model", "MLPClassifier")

    rng = np.random.default_rng(params["seed"])
    x_train, x_test, y_train, y_test = load_data(params["seed"])
    model = MLPClassifier(
        hidden_layer_sizes=(params["hidden_units"],),
        learning_rate_init=params["learning_rate"],
        random_state=params["seed"],
    )
    for epoch in range(1, params["epochs"] + 1):
        train_epoch(model, x_train, y_train, params["batch_size"], rng)
        loss = float(log_loss(y_train, model.predict_proba(x_train)))
        accuracy = float(accuracy_score(y_test, model.predict(x_test)))
        foundations.log_metric("loss", loss, step=epoch)
        foundations.log_metric("accuracy", accuracy, step=epoch)
        print(f"epoch {epoch:2}  loss {loss:.4f}  accuracy {accuracy:.3f}", flush=True)

    write_report(y_test, model.predict(x_test), "report.txt")
    joblib.dump(model, "model.joblib")
    foundations.save_artifact("report.txt", "report")
    foundations.save_artifact("model.joblib", "model")


if __name__ == "__main__":
    main()
