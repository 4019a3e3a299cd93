"""A first experiment: run it with `python main.py`, or submit it.

To submit: foundations submit scheduler . main.py
"""

import foundations

depth = 3
epochs = 5
batch_size = 256
lrate = 1e-3

# Parameters say how the experiment was made.
foundations.log_param("depth", depth)
foundations.log_params(
    {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": lrate,
    }
)

# Train your model here.
accuracy = 0.9
loss = 0.1

# Metrics say how well it went. Called again, a metric becomes a curve: step is the x axis.
foundations.log_metric("accuracy", accuracy)
foundations.log_metric("loss", loss)

# Any file can be kept with the job.
foundations.save_artifact("README.txt", "Project_README")
