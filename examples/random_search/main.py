"""Trains a network on handwritten digits with the parameters that the search has drawn."""

import warnings

from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import foundations


def main():
    """Train, and log how well the network reads digits that it has not seen."""
    params = foundations.load_parameters()
    images, labels = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(images / 16.0, labels, random_state=7)
    model = MLPClassifier(
        hidden_layer_sizes=params["layer_shapes"],
        batch_size=params["batch_size"],
        max_iter=params["epochs"],
        tol=params["early_stopping_tolerance"],
        n_iter_no_change=3,
        random_state=7,
    )
    with warnings.catch_warnings():
        # Not to converge within its epochs is what some of the parameters are for.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x_train, y_train)
    for epoch, loss in enumerate(model.loss_curve_):
        foundations.log_metric("loss", loss, step=epoch)
    foundations.log_metric("accuracy", float(model.score(x_test, y_test)))


if __name__ == "__main__":
    main()
