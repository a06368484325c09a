"""What a fitted model computes, as a graph of numbers: nothing of the training library, nothing of the file it becomes."""
