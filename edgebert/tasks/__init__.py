"""What a model can be asked, one file a task: from texts through the runner and a head to results."""
