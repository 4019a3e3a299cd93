"""Trains a PyTorch network on handwritten digits; it knows nothing of searches and pruning."""

import torch
from sklearn.datasets import load_digits

import foundations


def data():
    """Return training images, their labels, test images and theirs."""
    images, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(7))
    images = torch.tensor(images, dtype=torch.float32)[order] / 16
    labels = torch.tensor(labels)[order]
    return images[:1400], labels[:1400], images[1400:], labels[1400:]


def network(layers, dropout):
    """Return a network with hidden layers of these widths."""
    parts, width = [], 64
    for wider in layers:
        parts += [torch.nn.Linear(width, wider), torch.nn.ReLU(), torch.nn.Dropout(dropout)]
        width = wider
    return torch.nn.Sequential(*parts, torch.nn.Linear(width, 10))


def optimizer_of(params, model):
    """Return the optimizer that the search has chosen."""
    if params["optimizer"] == "sgd":
        return torch.optim.SGD(
            model.parameters(), lr=params["learning_rate"], momentum=params["momentum"]
        )
    return torch.optim.Adam(model.parameters(), lr=params["learning_rate"])


def main():
    """Train, and log the accuracy after each epoch: a pruner looks at it."""
    params = foundations.load_parameters()
    torch.manual_seed(params["seed"])
    torch.set_num_threads(1)
    x_train, y_train, x_test, y_test = data()
    model = network(params["layers"], params["dropout"])
    optimizer = optimizer_of(params, model)
    for epoch in range(params["epochs"]):
        model.train()
        for batch in torch.randperm(len(y_train)).split(params["batch_size"]):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x_train[batch]), y_train[batch])
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            accuracy = (model(x_test).argmax(1) == y_test).float().mean()
        foundations.log_metrics({"loss": float(loss), "accuracy": float(accuracy)}, step=epoch)


if __name__ == "__main__":
    main()
