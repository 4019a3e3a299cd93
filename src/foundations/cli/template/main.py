"""A first experiment: run it with `python main.py`, or submit it.

To submit: foundations submit scheduler . main.py
"""

import foundations

# Parameters say how the experiment is made: these, and over them what the job was given, as with
# foundations submit --params '{"depth": 4}' scheduler . main.py
params = {"depth": 3, "epochs": 5, "batch_size": 256, "learning_rate": 0.001}
params.update(foundations.load_parameters())
foundations.log_params(params)

# Train your model here. This one only pretends to.
loss = 1.0
for epoch in range(params["epochs"]):
    loss = loss / (1 + 0.1 * params["depth"])
    # Metrics say how well it goes. Called again, a metric becomes a curve: step is the x axis.
    foundations.log_metric("loss", loss, step=epoch)
foundations.log_metric("accuracy", 1 - loss)

# Any file can be kept with the job.
foundations.save_artifact("README.txt", "Project_README")
