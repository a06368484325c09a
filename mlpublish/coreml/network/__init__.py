"""Networks of the classic specification (``neuralNetwork``, ``…Classifier``, ``…Regressor``), layer by layer, in numpy."""
